//! Chooses the kills of a crash matrix.

use super::{Options, POINTS_MAX};

/// Point of a run, by commit number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// Just before the commit.
    Before(usize),
    /// Just after the commit, before anyone observes it.
    After(usize),
}

/// Time of a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kill {
    /// After this many commits: just after the last of them or just before the next one, which leaves the same record.
    From(usize),
    /// At this point of a run from the beginning.
    At(Point),
    /// As [`Self::From`], and again at this point of the following run.
    Twice(usize, Point),
}

impl Kill {
    /// Returns the commit during which the kill happens. Its work was done but is not recorded.
    #[must_use]
    pub fn commit(self) -> usize {
        match self {
            Self::From(commit) | Self::Twice(commit, _) => commit + 1,
            Self::At(Point::Before(commit)) => commit,
            Self::At(Point::After(commit)) => commit + 1,
        }
    }

    /// Returns the number of kills that this run covers.
    pub(super) fn answers_for(self) -> usize {
        match self {
            Self::From(_) => 2,
            Self::At(_) => 1,
            Self::Twice(..) => 0,
        }
    }
}

/// Returns the kills for a run with this many commits.
pub(super) fn kills(commits: usize, options: &Options, from_the_beginning: bool) -> Vec<Kill> {
    let mut random = Random(options.seed);
    let all: Vec<usize> = match commits {
        0..=POINTS_MAX => (1..=commits).collect(),
        _ => {
            let mut drawn: Vec<_> = (0..POINTS_MAX).map(|_| 1 + random.below(commits)).collect();
            drawn.sort_unstable();
            drawn.dedup();
            drawn
        }
    };
    let mut kills: Vec<_> = all
        .into_iter()
        .flat_map(|commit| {
            if from_the_beginning {
                vec![Kill::At(Point::Before(commit)), Kill::At(Point::After(commit))]
            } else {
                vec![Kill::From(commit)]
            }
        })
        .collect();
    if commits > 0 {
        for _ in 0..options.doubles {
            let first = 1 + random.below(commits);
            let second = 1 + random.below(commits + 1 - first);
            let point = if random.below(2) == 0 { Point::Before(second) } else { Point::After(second) };
            kills.push(Kill::Twice(first, point));
        }
    }
    kills
}

/// `SplitMix64` generator: the same numbers for the same seed on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from((mixed ^ (mixed >> 31)) % limit).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(seed: u64, doubles: usize) -> Options {
        Options { scenario: std::sync::Arc::default(), seed, doubles, strict_determinism: false }
    }

    #[test]
    fn every_commit_is_tried_and_the_seed_draws_the_rest() {
        let plan = kills(3, &options(1, 2), false);
        assert_eq!(plan[..3], [Kill::From(1), Kill::From(2), Kill::From(3)]);
        assert_eq!(plan.len(), 5);
        assert_eq!(plan, kills(3, &options(1, 2), false));
        assert_ne!(kills(50, &options(1, 20), false), kills(50, &options(2, 20), false));
        let whole = kills(2, &options(1, 0), true);
        let at = |point| Kill::At(point);
        let expected = [Point::Before(1), Point::After(1), Point::Before(2), Point::After(2)].map(at);
        assert_eq!(whole, expected);
        assert_eq!(whole.iter().map(|kill| kill.answers_for()).sum::<usize>(), 4);
    }

    #[test]
    fn of_a_long_run_a_part_is_tried() {
        let plan = kills(20_000, &options(7, 0), false);
        assert!(plan.len() > POINTS_MAX * 9 / 10 && plan.len() <= POINTS_MAX, "{}", plan.len());
        assert!(plan.iter().all(|kill| (1..=20_000).contains(&(kill.commit() - 1))));
        assert!(kills(0, &options(1, 5), false).is_empty());
    }
}
