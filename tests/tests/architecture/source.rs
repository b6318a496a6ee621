//! Rust files as the architecture checks read them: code without comments and texts, and the texts
//! by themselves. It knows enough of the grammar to never mistake one for the other, and no more.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One line of a file.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// What is compiled; comments are gone and every string or character is `""`.
    pub(crate) code: String,
    /// The strings and characters that begin on this line, without quotes.
    pub(crate) literals: Vec<String>,
    /// Compiled for tests only.
    pub(crate) test: bool,
}

/// One file, with its path from the workspace root.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) lines: Vec<Line>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut lines = Lexer::new(text).run();
        mark_tests(&mut lines, is_test_file(path));
        Self { path: path.to_owned(), text: text.to_owned(), lines }
    }

    /// Line numbers and lines of what users run.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().filter(|(_, line)| !line.test).map(|(at, line)| (at + 1, line))
    }

    /// Belongs to a library or service, rather than to `tests` or `bench`.
    pub(crate) fn is_product(&self) -> bool {
        ["crates/", "services/", "proto/"].iter().any(|root| self.path.starts_with(root))
    }
}

/// Where Cargo.lock is.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every Rust file of the workspace; generated code is in the target directory and not among them.
pub(crate) fn workspace() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    for member in ["crates", "services", "proto", "tests", "bench"] {
        collect(&root.join(member), &mut files);
    }
    assert!(files.len() > 20, "only {} files under {}", files.len(), root.display());

    let relative = |file: &PathBuf| file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| Source::new(&relative(file), &fs::read_to_string(file).unwrap())).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Holds tests only: by folder, or by the names that the house uses.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("/suite/")
        || path.ends_with("tests.rs")
        || path.ends_with("suite.rs")
}

/// An item under `#[cfg(test)]` reaches to its closing brace, or to a semicolon before any brace.
fn mark_tests(lines: &mut [Line], whole_file: bool) {
    let mut depth = None;
    for line in lines {
        let begins = line.code.contains("#[cfg(test)]") || line.code.contains("#[cfg(all(test");
        if begins && depth.is_none() {
            depth = Some(0);
        }
        line.test = whole_file || depth.is_some();

        let Some(mut open) = depth else { continue };
        let item = line.code.rsplit("#[cfg(").next().unwrap_or_default();
        for character in item.chars() {
            match character {
                '{' => open += 1,
                '}' => open -= 1,
                ';' if open == 0 => {}
                _ => continue,
            }
            if open == 0 {
                depth = None;
                break;
            }
            depth = Some(open);
        }
    }
}

struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    previous: char,
    lines: Vec<Line>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.chars().peekable(), previous: '\n', lines: vec![Line::default()] }
    }

    fn run(mut self) -> Vec<Line> {
        while let Some(character) = self.rest.next() {
            match character {
                '/' if self.rest.peek() == Some(&'/') => self.line_comment(),
                '/' if self.rest.peek() == Some(&'*') => self.block_comment(),
                '"' => self.string(0, Escapes::Yes),
                'r' | 'b' | 'c' if !is_word(self.previous) => self.prefixed(character),
                '\'' => self.character_or_lifetime(),
                other => self.code(other),
            }
        }
        self.lines
    }

    fn code(&mut self, character: char) {
        self.previous = character;
        if character == '\n' {
            self.lines.push(Line::default());
        } else {
            self.last().code.push(character);
        }
    }

    fn last(&mut self) -> &mut Line {
        self.lines.last_mut().unwrap()
    }

    fn line_comment(&mut self) {
        while self.rest.next_if(|&character| character != '\n').is_some() {}
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        let mut previous = '/';
        while let Some(character) = self.rest.next() {
            match (previous, character) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                (_, '\n') => self.code('\n'),
                _ => {}
            }
            // A character that closed or opened one comment does not take part in the next.
            let used = matches!((previous, character), ('/', '*') | ('*', '/'));
            previous = if used { ' ' } else { character };
            if depth == 0 {
                return;
            }
        }
    }

    /// `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"`, `b'…'`, or a word that only begins like one.
    fn prefixed(&mut self, first: char) {
        let ahead: String = self.rest.clone().take(20).collect();
        let raw = if first == 'r' { Some(ahead.as_str()) } else { ahead.strip_prefix('r') };
        let hashes = raw.map(|raw| raw.chars().take_while(|&character| character == '#').count());
        let opens = raw.zip(hashes).is_some_and(|(raw, hashes)| raw[hashes..].starts_with('"'));
        if let (true, Some(hashes)) = (opens, hashes) {
            let skip = hashes + if first == 'r' { 1 } else { 2 };
            self.rest.by_ref().take(skip).for_each(drop);
            self.string(hashes, Escapes::No);
        } else {
            self.code(first);
        }
    }

    fn string(&mut self, hashes: usize, escapes: Escapes) {
        let mut content = String::new();
        let closing = format!("\"{}", "#".repeat(hashes));
        let at = self.lines.len() - 1;
        self.last().code.push_str("\"\"");
        self.previous = '"';
        while let Some(character) = self.rest.next() {
            content.push(character);
            if character == '\\' && escapes == Escapes::Yes {
                content.extend(self.rest.next());
            } else if content.ends_with(&closing) {
                content.truncate(content.len() - closing.len());
                break;
            }
        }
        self.lines.resize_with(at + 1 + content.matches('\n').count(), Line::default);
        self.lines[at].literals.push(content);
    }

    fn character_or_lifetime(&mut self) {
        let ahead: Vec<char> = self.rest.clone().take(2).collect();
        match ahead.as_slice() {
            ['\\', ..] | [_, '\''] => self.character(),
            _ => self.code('\''),
        }
    }

    fn character(&mut self) {
        let mut content = String::new();
        while let Some(character) = self.rest.next() {
            match character {
                '\'' => break,
                '\\' => content.extend(['\\'].into_iter().chain(self.rest.next())),
                other => content.push(other),
            }
        }
        self.last().code.push_str("\"\"");
        self.last().literals.push(content);
        self.previous = '"';
    }
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Escapes {
    Yes,
    No,
}

/// May stand inside an identifier.
pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
