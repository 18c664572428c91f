//! The pod-template-hash: what tells the ReplicaSets of a Deployment apart.
//!
//! Kubernetes hashes a dump of its own Go structs, which only it can make; nothing but its controller
//! depends on the value, as ReplicaSets are found by comparing templates. Ours is the same FNV-1a of
//! the template's JSON with sorted keys, in the same alphabet.

use k8s_openapi::api::core::v1::PodTemplateSpec;

/// The letters that `k8s.io/apimachinery/pkg/util/rand` encodes with: no vowels, so no words.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The hash of a template. `collisions` makes another one of the same template, for when a ReplicaSet
/// of another template has the name already.
pub(super) fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut hash = Fnv::new();
    // `Value` objects are sorted, which makes the text canonical. A struct of plain data serializes.
    let json = serde_json::to_value(template).unwrap_or_default();
    hash.write(json.to_string().as_bytes());
    if let Some(collisions) = collisions {
        hash.write(&collisions.to_le_bytes());
    }
    let digits = hash.0.to_string();
    let letters = digits
        .bytes()
        .map(|digit| ALPHABET[usize::from(digit) % ALPHABET.len()]);
    letters.map(char::from).collect()
}

/// FNV-1a with 32 bits.
struct Fnv(u32);

impl Fnv {
    fn new() -> Self {
        Self(0x811c_9dc5)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut hash = Fnv::new();
        hash.write(b"foobar");
        assert_eq!(hash.0, 0xbf9c_f968);
    }

    #[test]
    fn a_collision_gives_another_hash() {
        let template = PodTemplateSpec::default();
        let hash = template_hash(&template, None);
        assert_eq!(hash, template_hash(&template, None));
        assert_ne!(hash, template_hash(&template, Some(1)));
        assert!(hash.bytes().all(|b| ALPHABET.contains(&b)));
    }
}
