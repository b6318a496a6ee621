//! `bucket rules`: which tags never move, which go by themselves, and when manifests without one do, in a namespace or
//! a repository.

use std::{
    fs,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use oci::RepositoryName;
use proto::metadata::{
    Actor, More, Rules as _,
    quotas::Size,
    rules::{self, RuleSet, RulesOf},
};

use super::{Operator, OperatorError, Which};

/// The arguments.
#[derive(Debug, Args)]
pub struct Rules {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prints the own rules of a namespace or a repository, as `set` takes them
    Show(Show),
    /// Makes rules in place of its own
    #[command(after_help = EXAMPLE)]
    Set(Set),
    /// Removes its own rules: a repository then has those of its namespace
    Clear(Clear),
    /// Changes nothing, and says which tags would go now, and how many manifests and bytes
    Preview(Preview),
}

const EXAMPLE: &str = "\
Example of a file:
  [[immutable]]                 # tags that are neither moved nor deleted
  tags = \"v*\"                   # * is any run of characters, ? is one
  except = [\"*-rc*\"]

  [[retain]]                    # tags that go by themselves, except
  tags = \"ci-*\"
  keep_last = 10                # those that were pushed last
  within = \"30d\"                # and those that were pushed within this time

  [untagged]                    # manifests without a tag go
  within = \"30d\"                # when they have had none for this time";

#[derive(Debug, Args)]
struct Show {
    /// `team` or `team/app`
    of: RulesOf,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Set {
    /// `team` or `team/app`
    of: RulesOf,
    /// The rules (TOML); `-` reads them from the standard input
    file: PathBuf,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Clear {
    /// `team` or `team/app`
    of: RulesOf,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Preview {
    /// `team/app`
    repository: RepositoryName,
    /// Tries these rules (TOML; `-` for the standard input) instead of those in force
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

/// Why a file with rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", file.display())]
pub struct FileError {
    file: PathBuf,
    why: Unusable,
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Wrong(#[from] toml::de::Error),
}

impl Rules {
    pub(super) fn which(&self) -> &Which {
        match &self.action {
            Action::Show(Show { which, .. })
            | Action::Set(Set { which, .. })
            | Action::Clear(Clear { which, .. })
            | Action::Preview(Preview { which, .. }) => which,
        }
    }

    pub(super) async fn run(
        &self,
        operator: &Operator,
        out: &mut (dyn Write + Send),
    ) -> Result<(), OperatorError> {
        match &self.action {
            Action::Show(Show { of, .. }) => match operator.rules.rules(of).await? {
                Some(rules) => write!(out, "{}", printed(&rules)?)?,
                None => writeln!(out, "# {of} has no rules of its own")?,
            },
            Action::Set(Set { of, file, .. }) => {
                let rules = read(file)?;
                operator.rules.put_rules(of, Some(&rules), &Actor::operator()).await?;
                writeln!(out, "the rules of {of} hold from now on")?;
            }
            Action::Clear(Clear { of, .. }) => {
                operator.rules.put_rules(of, None, &Actor::operator()).await?;
                writeln!(out, "{of} has no rules of its own any more")?;
            }
            Action::Preview(Preview { repository, file, .. }) => {
                let rules = file.as_deref().map(read).transpose()?;
                let preview = operator.rules.preview_rules(repository, rules.as_ref()).await?;
                print(&preview, out)?;
            }
        }
        Ok(())
    }
}

fn read(file: &Path) -> Result<RuleSet, FileError> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let rules = text.map_err(Unusable::from).and_then(|text| Ok(toml::from_str(&text)?));
    rules.map_err(|why| FileError { file: file.to_owned(), why })
}

fn print(preview: &rules::Preview, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let rules::Preview { tags, manifests, untagged, size_bytes, more } = preview;
    for tag in tags {
        writeln!(out, "{tag}")?;
    }
    let at_least = if *more == More::Yes { "at least " } else { "" };
    let (tags, size) = (tags.len(), Size(*size_bytes));
    writeln!(
        out,
        "{at_least}{tags} tags would go, with {manifests} manifests and {size} that nothing else here uses"
    )?;
    if *untagged > 0 {
        writeln!(out, "{untagged} of these manifests would go because they have no tag")?;
    }
    Ok(())
}

fn printed(rules: &RuleSet) -> io::Result<String> {
    let text = toml::to_string(rules).map_err(io::Error::other)?;
    Ok(if text.is_empty() { "# no rules, and not those of the namespace either\n".to_owned() } else { text })
}

#[cfg(test)]
mod tests {
    use super::{printed, read};

    #[test]
    fn what_is_shown_can_be_set() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rules.toml");
        std::fs::write(&file, "[[immutable]]\ntags = \"v*\"\nexcept = [\"*-rc*\"]\n").unwrap();
        let rules = read(&file).unwrap();

        std::fs::write(&file, printed(&rules).unwrap()).unwrap();

        assert_eq!(read(&file).unwrap(), rules);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rules.toml");
        std::fs::write(&file, "[[immutable]]\ntags = \"v[0-9]\"\n").unwrap();
        let wrong = read(&file).unwrap_err().to_string();
        assert!(wrong.contains("rules.toml") && wrong.contains("line 2") && wrong.contains("'['"), "{wrong}");
    }
}
