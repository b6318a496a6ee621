//! How much of a list is asked for: `n` (distribution-spec, Listing tags).

/// Entries on a page: 0 to 1,000, 100 unless asked otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(usize);

/// Why a text is no page size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("n must be a whole number, not {0:?}")]
pub struct PageSizeError(String);

impl PageSize {
    /// The largest page; who asks for more gets this much and a Link to the rest.
    pub const MAX: usize = 1_000;
    const DEFAULT: usize = 100;

    /// Reads `n`, if there is one.
    ///
    /// # Errors
    /// It is no number.
    pub fn parse(n: Option<&str>) -> Result<Self, PageSizeError> {
        let Some(text) = n else {
            return Ok(Self(Self::DEFAULT));
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PageSizeError(text.chars().take(32).collect()));
        }
        // All digits, so what does not fit is too large.
        Ok(Self(text.parse().unwrap_or(usize::MAX).min(Self::MAX)))
    }

    /// The number.
    pub const fn get(self) -> usize {
        self.0
    }
}
