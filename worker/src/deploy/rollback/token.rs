//! What a turn of `Coalmine-Rollback` hands to the next one, inside the continuation token.

use coalmine_pipeline::limits::CONTINUATION_TOKEN_CHARS;
use serde::{Deserialize, Serialize};

use crate::deploy::progress::Progress;

/// The version of the tokens that this program writes and reads.
const VERSION: u8 = 1;

/// How far a rollback has come. Where the services stand is AWS's to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    #[serde(rename = "v")]
    version: u8,
    /// When the action began, in epoch seconds.
    #[serde(rename = "t")]
    pub began: i64,
    /// Whether it was decided where the services go: then it stands on record.
    #[serde(rename = "d")]
    pub decided: bool,
    /// Where the services go, as [`Aims`](crate::deploy::rollback::aim::Aims) write it; empty where it would have no room.
    #[serde(rename = "a", default, skip_serializing_if = "String::is_empty")]
    pub aims: String,
}

impl Token {
    /// A job without a token begins now; one that a dead worker had not begun with comes with the progress of a beginning.
    ///
    /// # Errors
    /// When it is no token of a worker, or another version's.
    pub fn read(token: Option<&str>, now: i64) -> Result<Self, String> {
        let begun = |began| Self { version: VERSION, began, decided: false, aims: String::new() };
        let Some(text) = token else { return Ok(begun(now)) };
        match Self::own(text) {
            Some(token) => Ok(token),
            None => Progress::from_token(text)
                .map(|progress| begun(progress.started))
                .map_err(|problem| problem.to_string()),
        }
    }

    /// One that a turn of a rollback wrote; `None`: it is another action's, another version's, or no token.
    #[must_use]
    pub fn own(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|token| token.version == VERSION)
    }

    /// Its text.
    #[must_use]
    pub fn write(&self) -> String {
        // A struct of numbers and text always serializes.
        let token = serde_json::to_string(self).unwrap_or_default();
        if token.chars().count() <= CONTINUATION_TOKEN_CHARS || self.aims.is_empty() {
            return token;
        }
        Self { aims: String::new(), ..self.clone() }.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_one_of_a_beginning_is_understood() {
        let token = Token { version: VERSION, began: 7, decided: true, aims: "+ 3 2,app 3 2".to_owned() };
        assert_eq!(Token::read(Some(&token.write()), 99), Ok(token.clone()));
        let begun = |began| Token { version: VERSION, began, decided: false, aims: String::new() };
        assert_eq!(Token::read(None, 99), Ok(begun(99)));
        let first = Progress::begin(5).to_token();
        assert_eq!(Token::read(Some(&first), 99), Ok(begun(5)));
        let long = Token { aims: "app 3 2,".repeat(300), ..token };
        assert_eq!(Token::read(Some(&long.write()), 99), Ok(Token { aims: String::new(), ..token }), "it has no room");
        for wrong in ["", "{}", r#"{"v":2,"t":7,"d":true}"#, r#"{"v":1,"t":7,"d":true,"x":1}"#] {
            assert!(Token::read(Some(wrong), 99).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_token_is_of_both_kinds() {
        let token = Token { version: VERSION, began: 7, decided: false, aims: String::new() };
        assert!(Progress::from_token(&token.write()).is_err());
        assert_eq!(Token::own(&Progress::begin(5).to_token()), None);
    }
}
