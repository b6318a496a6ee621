//! Where the bytes of an upload are cut into parts: at the same places whoever sends them, and however often. It knows
//! no bytes.

/// What a vendor allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in a part that is not the last, at least.
    pub smallest_part_bytes: u64,
    /// Bytes in a part, at most.
    pub largest_part_bytes: u64,
    /// Parts in one object, at most.
    pub parts: usize,
    /// Bytes in one object, at most.
    pub largest_object_bytes: u64,
}

/// By how much all limits are smaller than a vendor's, so that kilobytes reach them: only tests say otherwise than not
/// at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Of so many bytes one is left.
    pub bytes: u64,
    /// Of so many parts one is left.
    pub parts: usize,
}

impl Default for Scale {
    fn default() -> Self {
        Self { bytes: 1, parts: 1 }
    }
}

/// Bytes in the first parts. Few enough to hold some in memory, and enough that a request costs nothing beside them.
const FIRST_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes on their way to the store at one time, unless one part has more.
const AHEAD_BYTES: u64 = 16 * 1024 * 1024;

/// Parts double so often, each time after the same number of them: small blobs need small ones, and the largest need
/// ones so large that there are enough of them.
const TIERS: usize = 10;

impl Limits {
    /// The same, smaller by `scale`.
    #[must_use]
    pub fn scaled(self, scale: Scale) -> Self {
        Self {
            smallest_part_bytes: (self.smallest_part_bytes / scale.bytes).max(1),
            largest_part_bytes: self.largest_part_bytes / scale.bytes,
            parts: self.parts / scale.parts,
            largest_object_bytes: self.largest_object_bytes / scale.bytes,
        }
    }
}

/// How uploads are cut within the limits of a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Plan {
    pub(in crate::store) limits: Limits,
    first_bytes: u64,
    pub(in crate::store) ahead_bytes: u64,
}

impl Plan {
    pub(in crate::store) fn new(limits: Limits, scale: Scale) -> Self {
        let (first_bytes, ahead_bytes) = (FIRST_BYTES / scale.bytes, AHEAD_BYTES / scale.bytes);
        Self { limits: limits.scaled(scale), first_bytes, ahead_bytes }
    }

    /// Bytes in the part with the index `index`, from 0; none if an object can have no such part.
    pub(in crate::store) fn part_bytes(&self, index: usize) -> Option<u64> {
        if index >= self.limits.parts {
            return None;
        }
        let tier = u32::try_from(index / (self.limits.parts / TIERS).max(1)).unwrap_or(u32::MAX);
        let first = self.first_bytes.max(self.limits.smallest_part_bytes);
        let doubled = 1_u64.checked_shl(tier).and_then(|factor| first.checked_mul(factor));
        Some(doubled.unwrap_or(u64::MAX).min(self.limits.largest_part_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, Scale};
    use crate::store::object::preset::Vendor;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn parts_grow_until_the_largest_object_of_each_vendor_fits_or_its_largest_part_is_reached() {
        for vendor in Vendor::ALL {
            let limits = vendor.preset().limits;
            let plan = Plan::new(limits, Scale::default());
            let sizes: Vec<u64> = (0..limits.parts).map(|index| plan.part_bytes(index).unwrap()).collect();

            assert!(sizes.is_sorted() && sizes[0] == 8 * MIB, "{vendor:?}");
            assert!(
                sizes
                    .iter()
                    .all(|size| (limits.smallest_part_bytes..=limits.largest_part_bytes).contains(size))
            );
            let room: u64 = sizes.iter().sum();
            let terabyte = 1024 * 1024 * MIB;
            assert!(room >= limits.largest_object_bytes.min(3 * terabyte), "{vendor:?} has room for {room}");
            assert_eq!(plan.part_bytes(limits.parts), None);
        }
    }

    #[test]
    fn a_smaller_plan_has_the_same_shape() {
        let scale = Scale { bytes: 1_000, parts: 10 };
        for vendor in Vendor::ALL {
            let limits = vendor.preset().limits;
            let (plan, small) = (Plan::new(limits, Scale::default()), Plan::new(limits, scale));

            for index in 0..limits.parts / scale.parts {
                let (whole, scaled) = (plan.part_bytes(index * scale.parts), small.part_bytes(index));
                let (whole, scaled) = (whole.unwrap() / scale.bytes, scaled.unwrap());
                // Halves of bytes are lost before they are doubled.
                assert!(whole.abs_diff(scaled) <= 1 << 9, "{vendor:?}: {scaled} for {whole} at {index}");
            }
            assert_eq!(small.part_bytes(limits.parts / scale.parts), None);
        }
    }
}
