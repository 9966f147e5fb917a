//! What stands behind the `?` of a request.

use std::fmt::Display;
use std::str::FromStr;

use miniflow_runtime::storage::{Order, Place};
use miniflow_runtime::{InstanceStatus, Timestamp};

use super::failure::Failure;
use super::instant;

/// Items of a page unless told otherwise.
const PER_PAGE: u64 = 25;

/// Items of a page at most.
pub(super) const PER_PAGE_MAX: u64 = 100;

/// The parameters of a query; of one that is there twice the last counts.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// A parameter that is there and says something.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value of a parameter that may be there more than once, or hold several with commas between.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, _)| key == name).flat_map(|(_, value)| value.split(','));
        values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number: u64 = parsed(name, text)?;
        if (least..=most).contains(&number) {
            Ok(Some(number))
        } else {
            let range = if most == u64::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
            Err(invalid(name, format!("Expected query param to be {range} but received \"{text}\"")))
        }
    }

    /// A number from 1.
    pub(super) fn positive(&self, name: &str) -> Result<Option<u32>, Failure> {
        Ok(self.number(name, 1, u32::MAX.into())?.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
    }

    /// One of some words.
    pub(super) fn word<'a>(&self, name: &str, words: &[&'a str]) -> Result<Option<&'a str>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|word| **word == text);
        let expected =
            || invalid(name, format!("Expected query param to be one of {} but received \"{text}\"", words.join(", ")));
        found.map(|word| Some(*word)).ok_or_else(expected)
    }

    /// Which page of how many items.
    pub(super) fn page(&self) -> Result<Page, Failure> {
        let per_page = self.number("per_page", 1, PER_PAGE_MAX)?.unwrap_or(PER_PAGE);
        Ok(Page { page: self.number("page", 1, u64::MAX)?, per_page })
    }

    pub(super) fn status(&self, allowed: &[InstanceStatus]) -> Result<Option<InstanceStatus>, Failure> {
        let words: Vec<_> = allowed.iter().map(|status| status.as_str()).collect();
        Ok(self.word("status", &words)?.map(InstanceStatus::parse))
    }

    /// The moment from which, and the one until which.
    pub(super) fn dates(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), Failure> {
        let moment = |name: &str| {
            let Some(text) = self.text(name) else { return Ok(None) };
            let expected =
                || invalid(name, format!("Expected query param to be an ISO 8601 date but received \"{text}\""));
            instant::parse(text).map(Some).ok_or_else(expected)
        };
        match (moment("date_start")?, moment("date_end")?) {
            (Some(start), Some(end)) if start > end => Err(Failure::Dates),
            dates => Ok(dates),
        }
    }

    /// The place after which a list goes on.
    pub(super) fn cursor(&self) -> Result<Option<Place>, Failure> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        let place = text.split_once('.').and_then(|(created, key)| {
            Some(Place {
                created: Timestamp(u64::from_str_radix(created, 36).ok()?),
                key: i64::from_str_radix(key, 36).ok()?,
            })
        });
        place.map(Some).ok_or_else(|| invalid("cursor", "not a cursor of this API".to_owned()))
    }

    pub(super) fn direction(&self) -> Result<Order, Failure> {
        Ok(match self.word("direction", &["asc", "desc"])? {
            Some("asc") => Order::OldestFirst,
            _ => Order::NewestFirst,
        })
    }
}

/// The cursor that [`Query::cursor`] reads.
pub(super) fn cursor(place: Place) -> String {
    format!("{}.{}", base36(place.created.as_millis()), base36(place.key.unsigned_abs()))
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(u32::try_from(number % 36).unwrap_or(0), 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// From 1, if it was asked for.
    pub(super) page: Option<u64>,
    pub(super) per_page: u64,
}

impl Page {
    /// Items before it.
    pub(super) fn skip(self) -> u64 {
        (self.page.unwrap_or(1) - 1).saturating_mul(self.per_page)
    }

    /// This page of `all`.
    pub(super) fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let skip = usize::try_from(self.skip()).unwrap_or(usize::MAX);
        all.into_iter().skip(skip).take(usize::try_from(self.per_page).unwrap_or(usize::MAX)).collect()
    }
}

fn parsed<T: FromStr>(name: &str, text: &str) -> Result<T, Failure> {
    let expected = |_| invalid(name, format!("Expected query param to be number but received \"{text}\""));
    text.parse().map_err(expected)
}

fn invalid(name: &str, why: impl Display) -> Failure {
    Failure::Invalid(format!("{name}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(Some(text))
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        match result.unwrap_err() {
            Failure::Invalid(text) => text,
            other => panic!("{other:?}"),
        }
    }

    // rules: A125
    #[test]
    fn numbers_are_numbers_within_their_bounds() {
        assert_eq!(query("").page().unwrap(), Page { page: None, per_page: 25 });
        assert_eq!(query("page=3&per_page=100").page().unwrap(), Page { page: Some(3), per_page: 100 });
        assert_eq!(
            refused(query("page=invalid").page()),
            r#"page: Expected query param to be number but received "invalid""#
        );
        assert_eq!(
            refused(query("per_page=101").page()),
            r#"per_page: Expected query param to be 1 to 100 but received "101""#
        );
        for wrong in ["page=0", "per_page=0", "page=-1", "page=1.5", "page=99999999999999999999"] {
            assert!(query(wrong).page().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for place in [
            Place { created: Timestamp(1_786_599_900_000), key: 1 },
            Place { created: Timestamp(0), key: i64::MAX },
            Place { created: Timestamp::MAX, key: 0 },
        ] {
            assert_eq!(query(&format!("cursor={}", cursor(place))).cursor().unwrap(), Some(place));
        }
        for wrong in ["cursor=x", "cursor=1", "cursor=.", "cursor=!.1", "cursor=1.2.3"] {
            assert!(query(wrong).cursor().is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_and_dates_are_checked() {
        assert_eq!(query("direction=asc").direction().unwrap(), Order::OldestFirst);
        assert_eq!(
            refused(query("direction=up").direction()),
            r#"direction: Expected query param to be one of asc, desc but received "up""#
        );
        assert_eq!(query("date_start=2026-01-02&date_end=2026-01-01").dates(), Err(Failure::Dates));
        assert_eq!(
            refused(query("date_end=soon").dates()),
            r#"date_end: Expected query param to be an ISO 8601 date but received "soon""#
        );
        assert_eq!(query("a=1&a=2").text("a"), Some("2"));
        assert_eq!(query("f=a,b&f=c&f=").list("f"), ["a", "b", "c"]);
    }
}
