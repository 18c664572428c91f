//! The image's own volumes, and the files that every container gets.

use node::runtime::Mount;

use crate::harness::Machine;

#[tokio::test(flavor = "multi_thread")]
async fn the_images_volumes_hold_what_it_has_there_and_can_be_written_on_a_read_only_root() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let run = async |words: &[&str]| {
        let mut spec = machine.spec(&words.join("-").replace('/', "_"), words);
        let _ = std::fs::remove_file(&spec.log_path);
        spec.security.read_only_root = true;
        machine.run(&pod, spec).await
    };
    assert_eq!(run(&["cat", "/data/seed"]).await.0, "from the image\n");
    for path in ["/data/seed", "/data/new", "/fresh/new"] {
        let (log, exit) = run(&["write", path, "changed"]).await;
        assert_eq!(exit.code, 0, "{path}: {log}");
    }
    assert_eq!(run(&["write", "/bin/new", "x"]).await.1.code, 1);
    // Each container has volumes of its own, which went with the ones before.
    assert_eq!(run(&["cat", "/data/seed"]).await.0, "from the image\n");
    assert_eq!(run(&["cat", "/data/new"]).await.1.code, 1);
    let (mounts, _) = run(&["cat", "/proc/self/mountinfo"]).await;
    for path in [" /data ", " /fresh "] {
        assert!(mounts.contains(path), "{mounts}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_of_the_pods_takes_the_place_of_the_images_volume() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let folder = machine.folder.path().join("own");
    std::fs::create_dir(&folder).expect("made");
    for (target, seen) in [("/data", false), ("/data/below", true)] {
        let mut spec = machine.spec("own", &["cat", "/data/seed"]);
        spec.mounts = vec![Mount {
            source: folder.clone(),
            target: target.into(),
            ..Mount::default()
        }];
        let (_, exit) = machine.run(&pod, spec.clone()).await;
        assert_eq!(exit.code == 0, seen, "{target}");
        spec.args = ["write", &format!("{target}/file"), "kept"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(machine.run(&pod, spec).await.1.code, 0);
        let text = std::fs::read_to_string(folder.join("file"));
        assert_eq!(text.expect("written through the mount"), "kept");
        std::fs::remove_file(folder.join("file")).expect("removed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_hosts_can_be_added_on_a_read_only_root_and_nothing_else_be_changed() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    for (path, allowed) in [
        ("/etc/hosts", true),
        ("/etc/hostname", false),
        ("/etc/resolv.conf", false),
        ("/dev/shm/file", true),
        ("/etc/passwd", false),
    ] {
        let mut spec = machine.spec("write", &["write", path, "10.1.1.1 x"]);
        spec.security.read_only_root = true;
        let (log, exit) = machine.run(&pod, spec).await;
        assert_eq!(exit.code == 0, allowed, "{path}: {log}");
    }
    let seen = machine.run(&pod, machine.spec("read", &["cat", "/etc/hosts"]));
    assert_eq!(
        seen.await.0,
        "10.1.1.1 x\n",
        "the pod's containers share it"
    );
}
