//! What was acknowledged survives: `kill -9` under load, and a damaged or foreign data directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tests::cluster::Cluster;
use tests::http::Api;
use tests::{PATIENCE, eventually_async};

use crate::{MAPS, at, map};

const KILLS: usize = 100;
const WRITERS: usize = 8;
const REQUEST: Duration = Duration::from_secs(5);

/// Creates numbered objects until told to stop; gives the numbers that were acknowledged.
async fn write(api: Api, next: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Vec<usize> {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let body = map(&format!("k{number}"), "x");
        let answer = api
            .request(reqwest::Method::POST, MAPS)
            .json(&body)
            // A request whose connection dies as it is made can be forgotten by the HTTP client.
            .timeout(REQUEST)
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status() == 201 => acknowledged.push(number),
            // The server is down: the number was not acknowledged.
            _ => tokio::task::yield_now().await,
        }
        if acknowledged.len() >= 40 {
            break;
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_kills_under_load_lose_nothing_acknowledged() {
    let mut cluster = Cluster::start(&["--no-worker", "--no-scheduler"]);
    let next = Arc::new(AtomicUsize::new(0));
    let mut acknowledged = Vec::new();
    for round in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let before = next.load(Ordering::Relaxed);
        let tasks: Vec<_> = (0..WRITERS)
            .map(|_| tokio::spawn(write(cluster.api(), Arc::clone(&next), Arc::clone(&stop))))
            .collect();
        // Let some writes in, a different number each time.
        let enough = before + 5 + round % 17;
        eventually_async("writes to be under way", PATIENCE, || async {
            (next.load(Ordering::Relaxed) > enough).then_some(())
        })
        .await;
        cluster.kill();
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            acknowledged.extend(task.await.expect("a writer does not panic"));
        }
        cluster.boot();
    }
    let list = cluster.api().get(MAPS).await.expect(200);
    let there: std::collections::BTreeSet<String> =
        crate::names(&list).into_iter().map(str::to_owned).collect();
    let lost: Vec<usize> = acknowledged
        .iter()
        .copied()
        .filter(|n| !there.contains(&format!("k{n}")))
        .collect();
    assert!(
        acknowledged.len() > KILLS,
        "only {} writes were acknowledged",
        acknowledged.len()
    );
    assert!(
        lost.is_empty(),
        "lost after {} acknowledged writes: {lost:?}",
        acknowledged.len()
    );
}

#[tokio::test]
async fn a_server_stops_in_order_even_while_it_starts() {
    for _ in 0..3 {
        let mut cluster = Cluster::without_worker();
        cluster.terminate();
        let log = cluster.log();
        assert!(!log.contains("did not end"), "{log}");
    }
}

#[tokio::test]
async fn a_damaged_database_is_refused_and_left_alone() {
    let mut cluster = Cluster::without_worker();
    cluster.api().post(MAPS, &map("one", "1")).await.expect(201);
    cluster.terminate();
    let file = cluster.data_dir().join("store/store.redb");
    std::fs::write(&file, b"this is no database").expect("it can be damaged");
    let mut command = cluster.ctld("server");
    let command = command.args(["--secure-port", "0", "--no-worker"]);
    let output = tokio::process::Command::from(std::mem::replace(
        command,
        std::process::Command::new("true"),
    ))
    .kill_on_drop(true)
    .output();
    let output = tokio::time::timeout(Duration::from_secs(20), output).await;
    let output = output.expect("ctld ends by itself").expect("ctld runs");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("damaged") || text.contains("not a"), "{text}");
    assert_eq!(
        std::fs::read(&file).expect("the file is there"),
        b"this is no database"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_serves_reads_until_there_is_room() {
    if !tests::root_or_skip("a_full_disk_refuses_writes") {
        return;
    }
    let disk = SmallDisk::mount();
    let data_dir = disk.path().join("data");
    let data_dir = data_dir.to_string_lossy();
    let cluster = Cluster::start(&["--no-worker", "--data-dir", &data_dir]);
    let api = Api::admin(&cluster.url, &disk.path().join("data/admin.kubeconfig"));
    api.post(MAPS, &map("before", "1")).await.expect(201);
    let filler = disk.path().join("filler");
    disk.fill(&filler);
    // What is free inside the database is used up first.
    let large = "x".repeat(512 << 10);
    let mut refused = None;
    for number in 0..200 {
        let answer = api.post(MAPS, &map(&format!("m{number}"), &large)).await;
        if answer.code != 201 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a disk is full some day").expect(503);
    assert_eq!(refused["kind"], "Status", "{refused:#}");
    assert_eq!(api.get(&at("before")).await.expect(200)["data"]["key"], "1");
    let alive = api.get("/livez").await;
    assert_eq!(alive.code, 200, "{:#}", alive.body);
    std::fs::remove_file(&filler).expect("the filler can be removed");
    eventually_async("writes to be taken again", PATIENCE, || async {
        let answer = api.post(MAPS, &map("after", "2")).await;
        (answer.code == 201).then_some(())
    })
    .await;
}

/// A file system of its own, of 32 MiB, unmounted when it goes out of scope.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory can be made");
        let options = Some("size=32m");
        nix::mount::mount(
            Some("tmpfs"),
            folder.path(),
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            options,
        )
        .expect("root can mount");
        Self(folder)
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Writes a file until nothing more fits.
    fn fill(&self, path: &std::path::Path) {
        let mut file = std::fs::File::create(path).expect("a file can be made");
        let zeros = [0; 4096];
        while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server that still has files open keeps it until it ends.
        let _ = nix::mount::umount2(self.path(), nix::mount::MntFlags::MNT_DETACH);
    }
}

#[tokio::test]
async fn two_servers_do_not_share_a_data_directory() {
    let cluster = Cluster::without_worker();
    let output = cluster
        .ctld("server")
        .args(["--secure-port", "0", "--no-worker"])
        .output();
    let output = output.expect("ctld runs");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("another ctld uses"), "{text}");
}
