//! A node's range of pod addresses, and who has which.

use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use parking_lot::Mutex;

use super::Error;

/// A range of IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: u32,
    prefix: u8,
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Cidr(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address: Ipv4Addr = address.parse().map_err(|_| invalid())?;
        let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
        // Below /8 nobody means it; above /30 there is no room for a gateway and a pod.
        if !(8..=30).contains(&prefix) {
            return Err(invalid());
        }
        let network = u32::from(address) & mask(prefix);
        Ok(Self { network, prefix })
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX << (32 - prefix)
}

impl Cidr {
    /// The first address after the network's own: the node's.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.network + 1)
    }

    /// The length of the network part.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    pub(super) fn network(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.network)
    }

    pub(super) fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from(mask(self.prefix))
    }

    /// How many pods can have an address: all but the network's, the gateway's and the broadcast address.
    fn pods(&self) -> u32 {
        (1 << (32 - self.prefix)) - 3
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.network(), self.prefix)
    }
}

/// Who has which address: a file per address that holds the pod's uid.
#[derive(Debug)]
pub struct Addresses {
    folder: PathBuf,
    cidr: Cidr,
    /// Where the search begins, so that an address is not given away right after it was given back.
    next: Mutex<u32>,
}

impl Addresses {
    /// Opens the folder, making it if need be.
    pub fn open(folder: PathBuf, cidr: Cidr) -> Result<Self, Error> {
        std::fs::create_dir_all(&folder)
            .map_err(Error::netlink(format!("make {}", folder.display())))?;
        Ok(Self {
            folder,
            cidr,
            next: Mutex::new(0),
        })
    }

    /// The pod's address: the one it has already, or a free one.
    pub fn allocate(&self, uid: &str) -> Result<Ipv4Addr, Error> {
        if let Some(address) = self.find(uid)? {
            return Ok(address);
        }
        let mut next = self.next.lock();
        for step in 0..self.cidr.pods() {
            let offset = (*next + step) % self.cidr.pods();
            let address = Ipv4Addr::from(self.cidr.network + 2 + offset);
            let path = self.folder.join(address.to_string());
            match File::create_new(&path).and_then(|mut file| file.write_all(uid.as_bytes())) {
                Ok(()) => {
                    *next = offset + 1;
                    return Ok(address);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Error::netlink(format!("write {}", path.display()))(error));
                }
            }
        }
        Err(Error::Exhausted(self.cidr.to_string()))
    }

    /// Gives an address back, if the pod has it.
    pub fn release(&self, uid: &str, address: Ipv4Addr) -> Result<(), Error> {
        let path = self.folder.join(address.to_string());
        match std::fs::read_to_string(&path) {
            Ok(owner) if owner == uid => std::fs::remove_file(&path)
                .map_err(Error::netlink(format!("remove {}", path.display()))),
            _ => Ok(()),
        }
    }

    fn find(&self, uid: &str) -> Result<Option<Ipv4Addr>, Error> {
        let entries = std::fs::read_dir(&self.folder)
            .map_err(Error::netlink(format!("read {}", self.folder.display())))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            if let Ok(address) = name.to_string_lossy().parse()
                && std::fs::read_to_string(entry.path()).is_ok_and(|owner| owner == uid)
            {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &std::path::Path, cidr: &str) -> Addresses {
        let cidr = cidr.parse().expect("valid range");
        Addresses::open(folder.to_owned(), cidr).expect("opens")
    }

    #[test]
    fn an_address_belongs_to_one_pod_until_it_is_given_back() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let addresses = open(folder.path(), "10.9.0.0/30");
        let first = addresses.allocate("a").expect("free");
        assert_eq!(first, Ipv4Addr::new(10, 9, 0, 2));
        assert_eq!(addresses.allocate("a").expect("its own"), first);
        assert!(matches!(addresses.allocate("b"), Err(Error::Exhausted(_))));
        addresses.release("b", first).expect("not its own");
        assert!(addresses.allocate("b").is_err());
        addresses.release("a", first).expect("its own");
        assert_eq!(addresses.allocate("b").expect("free"), first);
    }

    #[test]
    fn a_restart_forgets_nothing() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let first = open(folder.path(), "10.9.0.0/24")
            .allocate("a")
            .expect("free");
        let again = open(folder.path(), "10.9.0.0/24");
        assert_ne!(again.allocate("b").expect("free"), first);
        assert_eq!(again.allocate("a").expect("its own"), first);
    }

    #[test]
    fn ranges_without_room_are_refused() {
        for text in ["10.0.0.0", "10.0.0.0/31", "10.0.0.0/4", "fd00::/64", "x/24"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
