//! How many requests may be at work: in all, and for one client. Nobody waits: who does not get in is told so.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a request gets no answer from the one it was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many requests are at work: 503, with `Retry-After`.
    Overloaded,
    /// Too many requests of this client are at work: 429, with `Retry-After`.
    TooManyFromAddress,
    /// Its headers are too many or too long: 431.
    HeadersTooLong,
    /// It does not say, or says twice, which host it asks: 400.
    NoOneHost,
    /// The code that should answer failed: 500.
    Panicked,
}

#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    most_per_address: usize,
    /// Only addresses with a request at work are in it, so it is no longer than there are places.
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

/// A place among the requests at work, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { places, most_per_address, addresses: Mutex::default() })
    }

    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Result<Place, Refusal> {
        let permit = self.places.clone().try_acquire_owned().map_err(|_| Refusal::Overloaded)?;
        let address = network(client);

        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let at_work = addresses.entry(address).or_default();
        if *at_work >= self.most_per_address {
            return Err(Refusal::TooManyFromAddress);
        }
        *at_work += 1;
        Ok(Place { admission: self.clone(), address, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.admission.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at_work) = addresses.get_mut(&self.address) {
            *at_work -= 1;
            if *at_work == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}

/// One client has an IPv4 address, or an IPv6 network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_bounded_in_all_and_for_each_client() {
        let admission = Admission::new(3, 2);
        let first = admission.admit(address("192.0.2.1")).unwrap();
        let _second = admission.admit(address("::ffff:192.0.2.1")).unwrap();
        assert_eq!(admission.admit(address("192.0.2.1")).unwrap_err(), Refusal::TooManyFromAddress);

        let _third = admission.admit(address("192.0.2.2")).unwrap();
        assert_eq!(admission.admit(address("192.0.2.3")).unwrap_err(), Refusal::Overloaded);

        drop(first);
        let _fourth = admission.admit(address("192.0.2.1")).unwrap();
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let admission = Admission::new(3, 1);
        let _place = admission.admit(address("2001:db8::1")).unwrap();
        assert!(admission.admit(address("2001:db8::2:3")).is_err());
        assert!(admission.admit(address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn the_table_holds_only_clients_at_work() {
        let admission = Admission::new(3, 1);
        drop(admission.admit(address("192.0.2.1")).unwrap());
        let _place = admission.admit(address("192.0.2.2")).unwrap();
        let _ = admission.admit(address("192.0.2.2"));
        assert_eq!(admission.addresses.lock().unwrap().len(), 1);
        assert_eq!(admission.places.available_permits(), 2);
    }
}
