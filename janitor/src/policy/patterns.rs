//! Patterns of repositories and tags, and whether two of them can name the same repository.

use std::collections::{HashMap, VecDeque};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use regex::RegexSet;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start::Config as Start;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind};

use super::reader::{Reader, Text};

/// The letters of a repository's name. Two rules overlap only if a word of these belongs to both.
const NAME_LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789/-_.";

/// Bytes that one automaton may take, and states that a walk over several may visit. Globs that people write need a few
/// kilobytes; what needs more cannot be read by people either.
const AUTOMATON_BYTES: usize = 1 << 20;
const WALK_STATES: usize = 200_000;

type Dfa = dense::DFA<Vec<u32>>;

/// Which repositories are meant: globs, in which `*` stays between two slashes and `**` does not, and exceptions.
#[derive(Debug, Clone)]
pub(super) struct Repositories {
    named: GlobSet,
    except: GlobSet,
    automata: Option<Automata>,
}

/// The same, as automata that can be walked side by side.
#[derive(Debug, Clone)]
struct Automata {
    named: Dfa,
    except: Dfa,
}

/// Which tags are meant: globs, in which `*` is any text, and regular expressions, which match anywhere in a tag.
#[derive(Debug, Clone)]
pub(super) struct Tags {
    globs: GlobSet,
    expressions: RegexSet,
    texts: Vec<String>,
}

impl Repositories {
    pub(super) fn new(reader: &Reader<'_>, named: &[Text], except: &[Text]) -> Self {
        let (named_globs, named_automaton) = compile(reader, named);
        let (except_globs, except_automaton) = compile(reader, except);
        let automata = named_automaton.zip(except_automaton).map(|(named, except)| Automata { named, except });
        let built = Self { named: named_globs, except: except_globs, automata };
        for text in named {
            let quiet = Reader::new("");
            let (_, automaton) = compile(&quiet, std::slice::from_ref(text));
            let is_glob = quiet.finish().is_ok();
            if is_glob && automaton.is_some_and(|automaton| matches!(common_word(&[(&automaton, true)]), Walk::Nothing))
            {
                let expected = "expected a glob of repository names, which are in lower case";
                reader.problem(&text.span, format!("found {:?}, {expected}", text.text));
            }
        }
        built
    }

    pub(super) fn contain(&self, repository: &str) -> bool {
        self.named.is_match(repository) && !self.except.is_match(repository)
    }

    /// A repository that both name, or what prevents an answer. `None`: there is none.
    pub(super) fn overlap(&self, other: &Self) -> Option<String> {
        let (a, b) = self.automata.as_ref().zip(other.automata.as_ref())?;
        match common_word(&[(&a.named, true), (&b.named, true), (&a.except, false), (&b.except, false)]) {
            Walk::Nothing => None,
            Walk::Word(word) => Some(format!("both name {word:?}")),
            Walk::TooFar => Some("their patterns are too complex to tell them apart".to_owned()),
        }
    }
}

impl Tags {
    pub(super) fn new(reader: &Reader<'_>, globs: &[Text], expressions: &[Text]) -> Self {
        let mut builder = GlobSetBuilder::new();
        for text in globs {
            match Glob::new(&text.text) {
                Ok(glob) => {
                    builder.add(glob);
                }
                Err(error) => {
                    reader.problem(&text.span, format!("found {:?}, which is no glob: {}", text.text, error.kind()));
                }
            }
        }
        let good: Vec<&str> = expressions
            .iter()
            .filter(|text| match regex::Regex::new(&text.text) {
                Ok(_) => true,
                Err(error) => {
                    // The engine draws a picture of several lines; its last line says what is wrong.
                    let error = error.to_string();
                    let last = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    reader
                        .problem(&text.span, format!("found {:?}, which is no regular expression: {last}", text.text));
                    false
                }
            })
            .map(|text| text.text.as_str())
            .collect();
        let expressions = RegexSet::new(&good).unwrap_or_else(|error| {
            reader.problem(&(0..0), format!("the regular expressions together are too large: {error}"));
            RegexSet::empty()
        });
        let texts =
            globs.iter().map(|text| text.text.clone()).chain(good.iter().map(|text| format!("/{text}/"))).collect();
        Self { globs: set(&builder), expressions, texts }
    }

    pub(super) fn contain(&self, tag: &str) -> bool {
        self.globs.is_match(tag) || self.expressions.is_match(tag)
    }

    /// As they were written, expressions between slashes.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// An empty set where the patterns together are too large; every one of them was checked alone.
fn set(builder: &GlobSetBuilder) -> GlobSet {
    builder.build().unwrap_or_default()
}

/// Globs of repository names as a set and as one automaton.
fn compile(reader: &Reader<'_>, texts: &[Text]) -> (GlobSet, Option<Dfa>) {
    let mut builder = GlobSetBuilder::new();
    let mut expressions = Vec::new();
    for text in texts {
        match GlobBuilder::new(&text.text).literal_separator(true).build() {
            Ok(glob) => {
                expressions.push(glob.regex().to_owned());
                builder.add(glob);
            }
            Err(error) => {
                reader.problem(&text.span, format!("found {:?}, which is no glob: {}", text.text, error.kind()));
            }
        }
    }
    let automaton = dense::Builder::new()
        .configure(
            dense::Config::new()
                .start_kind(StartKind::Anchored)
                .match_kind(MatchKind::All)
                .dfa_size_limit(Some(AUTOMATON_BYTES))
                .determinize_size_limit(Some(AUTOMATON_BYTES)),
        )
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build_many(&expressions);
    if let (Err(_), Some(first)) = (&automaton, texts.first()) {
        reader.problem(&first.span, "these patterns are too large together");
    }
    (set(&builder), automaton.ok())
}

/// What a walk over automata side by side found.
enum Walk {
    /// No word.
    Nothing,
    /// This word, a shortest one.
    Word(String),
    /// Nothing within the limit.
    TooFar,
}

/// A shortest word that each automaton accepts, or for `false` does not.
fn common_word(automata: &[(&Dfa, bool)]) -> Walk {
    let start = Start::new().anchored(Anchored::Yes);
    let Ok(first) = automata.iter().map(|(automaton, _)| automaton.start_state(&start)).collect::<Result<Vec<_>, _>>()
    else {
        return Walk::TooFar;
    };
    let accepted = |states: &[StateID]| {
        automata
            .iter()
            .zip(states)
            .all(|((automaton, wanted), state)| automaton.is_match_state(automaton.next_eoi_state(*state)) == *wanted)
    };
    // From where and by which letter each state was reached first.
    let mut reached: HashMap<Vec<StateID>, Option<(Vec<StateID>, u8)>> = HashMap::from([(first.clone(), None)]);
    let mut ahead = VecDeque::from([first]);
    while let Some(states) = ahead.pop_front() {
        if accepted(&states) {
            return Walk::Word(word(&reached, states));
        }
        if reached.len() > WALK_STATES {
            return Walk::TooFar;
        }
        for letter in NAME_LETTERS {
            let next: Vec<StateID> = automata
                .iter()
                .zip(&states)
                .map(|((automaton, _), state)| automaton.next_state(*state, *letter))
                .collect();
            let hopeless =
                |((automaton, wanted), state): (&(&Dfa, bool), &StateID)| *wanted && automaton.is_dead_state(*state);
            if !automata.iter().zip(&next).any(hopeless) && !reached.contains_key(&next) {
                reached.insert(next.clone(), Some((states.clone(), *letter)));
                ahead.push_back(next);
            }
        }
    }
    Walk::Nothing
}

/// The letters on the way to `states`.
fn word(reached: &HashMap<Vec<StateID>, Option<(Vec<StateID>, u8)>>, states: Vec<StateID>) -> String {
    let mut letters = Vec::new();
    let mut at = states;
    while let Some(Some((before, letter))) = reached.get(&at) {
        letters.push(char::from(*letter));
        at = before.clone();
    }
    letters.iter().rev().collect()
}
