//! A requirement: a function, and the comment above it that says who requires it.

use std::{any::Any, panic::AssertUnwindSafe, pin::Pin, time::Instant};

use futures_util::FutureExt as _;
use tests::raw::Raw;

use crate::ground::Ground;

/// Something that the registry must do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requirement {
    /// The function's name: what the registry does.
    pub(crate) name: &'static str,
    /// The file with the function.
    pub(crate) source: &'static str,
    /// The function. It panics if the requirement is not met.
    pub(crate) check: for<'a> fn(&'a Ground) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
}

/// Makes a table of the functions of a file. One that is not in it is dead code, which does not compile.
macro_rules! requirements {
    ($($name:ident),+ $(,)?) => {
        pub(crate) const REQUIREMENTS: &[$crate::requirement::Requirement] = &[$(
            $crate::requirement::Requirement {
                name: stringify!($name),
                source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", file!())),
                check: |at| Box::pin($name(at)),
            }
        ),+];
    };
}
pub(crate) use requirements;

impl Requirement {
    /// The comment above the function.
    fn citation(&self) -> String {
        let function = format!("async fn {}(", self.name);
        let (above, _) = self.source.split_once(&function).unwrap_or_default();
        let mut lines: Vec<_> = above.lines().rev().map_while(|line| line.strip_prefix("/// ")).collect();
        lines.reverse();
        assert!(!lines.is_empty(), "nobody requires that {}", self.name);
        lines.join(" ")
    }

    /// Why it is not met; nothing if it is.
    async fn failure(&self, raw: &Raw) -> Option<String> {
        let ground = Ground::new(raw.clone(), format!("conformance/{}", self.name));
        let panic = AssertUnwindSafe((self.check)(&ground)).catch_unwind().await.err()?;
        Some(format!("{}\n  {}\n  {}", self.name, self.citation(), message(panic.as_ref())))
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

/// Checks every requirement, and lists those that are not met.
pub(crate) async fn check_all(requirements: &[Requirement], raw: &Raw) {
    let (began, mut failures) = (Instant::now(), Vec::new());
    for requirement in requirements {
        println!("{}\n  {}", requirement.name, requirement.citation());
        failures.extend(requirement.failure(raw).await);
    }
    println!("{} requirements in {:?}", requirements.len(), began.elapsed());
    let (failed, all) = (failures.len(), requirements.len());
    assert!(failures.is_empty(), "{failed} of {all} requirements are not met:\n\n{}", failures.join("\n\n"));
}
