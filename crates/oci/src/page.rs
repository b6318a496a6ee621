//! How much of a list is asked for: `n` (distribution-spec, Listing tags).

/// Entries on a page: 0 to 1,000, 100 unless asked otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(usize);

/// Why a text is no page size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageSizeError {
    /// It is no number.
    #[error("n must be a whole number, not {0:?}")]
    NotANumber(String),
    /// It is more than a page of this list may have.
    #[error("n must be at most {}", PageSize::MAX)]
    TooLarge,
}

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
            return Err(PageSizeError::NotANumber(text.chars().take(32).collect()));
        }
        // All digits, so what does not fit is too large.
        Ok(Self(text.parse().unwrap_or(usize::MAX).min(Self::MAX)))
    }

    /// Reads `n` for a list that refuses what is larger than its largest page (distribution, Listing repositories).
    ///
    /// # Errors
    /// It is no number, or too large.
    pub fn parse_bounded(n: Option<&str>) -> Result<Self, PageSizeError> {
        let size = Self::parse(n)?;
        let asked = n.and_then(|text| text.parse().ok()).unwrap_or(size.0);
        let overflows = n.is_some_and(|text| text.parse::<usize>().is_err());
        if overflows || asked > Self::MAX { Err(PageSizeError::TooLarge) } else { Ok(size) }
    }

    /// The number.
    pub const fn get(self) -> usize {
        self.0
    }
}
