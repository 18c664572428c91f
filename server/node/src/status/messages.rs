//! The room that a pod's termination messages share: objects are not for keeping logs.

use k8s_openapi::api::core::v1::{ContainerState, Pod, PodStatus};

use crate::pod::spec;

/// Bytes for the messages of all containers, each of which gets an equal part for its last one and the one before.
const ALL: usize = 12 << 10;

/// Cuts what ended containers said to the beginning that has room.
pub(super) fn shorten(pod: &Pod, status: &mut PodStatus) {
    let ephemeral = spec::spec(pod).ephemeral_containers.iter().flatten();
    let count = spec::all_containers(pod).count() + ephemeral.count();
    let room = ALL / count.max(1);
    let lists = [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
    ];
    for container in lists.into_iter().flatten().flatten() {
        cut(&mut container.state, room);
        cut(&mut container.last_state, room);
    }
}

fn cut(state: &mut Option<ContainerState>, room: usize) {
    let ended = state.as_mut().and_then(|state| state.terminated.as_mut());
    if let Some(message) = ended.and_then(|ended| ended.message.as_mut()) {
        message.truncate(message.floor_char_boundary(room));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, ContainerStatus};

    use super::*;

    fn ended(message: &str) -> Option<ContainerState> {
        Some(ContainerState {
            terminated: Some(ContainerStateTerminated {
                message: Some(message.to_owned()),
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        })
    }

    fn length(state: &Option<ContainerState>) -> Option<usize> {
        Some(state.as_ref()?.terminated.as_ref()?.message.as_ref()?.len())
    }

    #[test]
    fn the_messages_of_all_containers_share_twelve_kibibytes() {
        for (init, main, said, kept) in [
            (0, 1, "a".repeat(4096), 4096),
            (0, 4, "a".repeat(4096), 3072),
            (2, 4, "a".repeat(4096), 2048),
            (2, 4, "short".to_owned(), 5),
            // A character is kept or left out as a whole.
            (0, 5, "é".repeat(2000), 2456),
            (1, 4, format!("x{}", "é".repeat(2000)), 2457),
        ] {
            let mut pod = Pod::default();
            let spec = pod.spec.get_or_insert_default();
            spec.init_containers = Some(vec![Container::default(); init]);
            spec.containers = vec![Container::default(); main];
            let status = ContainerStatus {
                state: ended(&said),
                last_state: ended(&said),
                ..ContainerStatus::default()
            };
            let mut all = PodStatus {
                init_container_statuses: Some(vec![status.clone(); init]),
                container_statuses: Some(vec![status; main]),
                ..PodStatus::default()
            };
            shorten(&pod, &mut all);
            let lists = [all.init_container_statuses, all.container_statuses];
            for status in lists.iter().flatten().flatten() {
                assert_eq!(length(&status.state), Some(kept));
                assert_eq!(length(&status.last_state), Some(kept));
            }
        }
    }
}
