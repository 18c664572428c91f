//! ImageLocality: a node that has the images already is better, the more so the larger they are and
//! the more other nodes have them too (or all pods of an image would gather on its first node).

use super::{MAX_SCORE, Plugin};
use crate::cluster::Cluster;
use crate::node::NodeInfo;
use crate::pod::PodInfo;

/// Below this many bytes an image is pulled in no time.
const LEAST: i64 = 23 * 1024 * 1024;
/// Above this many bytes for each container the score is full.
const MOST: i64 = 1000 * 1024 * 1024;

pub(super) struct ImageLocality;

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn scores(&self, pod: &PodInfo) -> bool {
        !pod.images.is_empty()
    }

    fn score(&self, pod: &PodInfo, node: &NodeInfo, cluster: &Cluster) -> i64 {
        if node.offer.images.is_empty() {
            return 0;
        }
        let mut sum = 0;
        for image in &pod.images {
            let full = with_tag(image);
            let Some(size) = node.offer.image(&full) else {
                continue;
            };
            let nodes = cluster.nodes().len().max(1);
            let having = cluster.nodes_with_image(&full);
            // Node counts are small enough for a share in thousandths.
            let share = i64::try_from(having * 1000 / nodes).unwrap_or(1000);
            sum += size / 1000 * share;
        }
        let containers = i64::try_from(pod.images.len()).unwrap_or(1);
        let most = MOST * containers;
        MAX_SCORE * (sum.clamp(LEAST, most) - LEAST) / (most - LEAST)
    }
}

/// An image's name as nodes report it: with a tag.
fn with_tag(image: &str) -> std::borrow::Cow<'_, str> {
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.contains(':') || last.contains('@') {
        true => image.into(),
        false => format!("{image}:latest").into(),
    }
}
