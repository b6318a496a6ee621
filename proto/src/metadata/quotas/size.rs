//! Bytes as people read them.

/// Bytes, to be written with a binary unit and three digits at least.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub u64);

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text =
            match UNITS.iter().enumerate().take_while(|(power, _)| self.0 >> (10 * (power + 1)) > 0).last() {
                None => format!("{} B", self.0),
                Some((power, unit)) => {
                    let tenths = (u128::from(self.0) * 10) >> (10 * (power + 1));
                    format!("{}.{} {unit}", tenths / 10, tenths % 10)
                }
            };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn a_size_has_the_unit_that_makes_it_short() {
        let sizes = [0, 1_023, 1_024, 1_536, 5 << 20, u64::MAX].map(|bytes| Size(bytes).to_string());
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "15.9 EiB"]);
    }
}
