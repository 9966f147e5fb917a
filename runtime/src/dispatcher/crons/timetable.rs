//! Which expression is due when. A value: it is told the time, and what became of a commit.

use std::collections::BTreeSet;

use super::{CatchUp, CronState, Missed};
use crate::clock::Timestamp;
use crate::cron::Cron;
use crate::storage::{Boundary, CronTarget};

pub(in crate::dispatcher) struct Timetable {
    entries: Vec<Entry>,
    /// The next boundary of each entry.
    due: BTreeSet<(Timestamp, usize)>,
    catch_up: CatchUp,
    /// Whether anything fires.
    is_on: bool,
    /// How far expressions have come, to be written with the next commit.
    unwritten: Vec<Boundary>,
    /// What fired and is not committed.
    fired: Vec<(usize, Timestamp)>,
    /// After a failed commit.
    not_before: Timestamp,
}

struct Entry {
    target: CronTarget,
    cron: Cron,
    /// Boundaries up to this moment fire however late it is: that was decided.
    late_until: Timestamp,
    last: Option<Timestamp>,
}

/// What is due.
pub(super) enum Due {
    Fire { index: usize, target: CronTarget, cron: Cron, at: Timestamp },
    Missed(Missed),
}

impl Timetable {
    pub(in crate::dispatcher) fn new(catch_up: CatchUp, is_on: bool) -> Self {
        Self {
            entries: Vec::new(),
            due: BTreeSet::new(),
            catch_up,
            is_on,
            unwritten: Vec::new(),
            fired: Vec::new(),
            not_before: Timestamp::default(),
        }
    }

    /// Takes over these expressions, each once; those that are in the timetable stay as they are, others go. `kept`: how far the
    /// storage says that they have come. Returns what was missed since.
    pub(in crate::dispatcher) fn set(
        &mut self,
        wanted: impl IntoIterator<Item = (CronTarget, Cron)>,
        kept: &[Boundary],
        now: Timestamp,
    ) -> Vec<Missed> {
        let before = std::mem::take(&mut self.entries);
        let mut next = vec![None; before.len()];
        for (at, index) in std::mem::take(&mut self.due) {
            next[index] = Some(at);
        }
        let mut before: Vec<_> = before.into_iter().zip(next).map(Some).collect();
        let mut missed = Vec::new();
        for (target, cron) in wanted {
            if self.entries.iter().any(|entry| entry.is(&target, cron.as_str())) {
                continue;
            }
            let index = self.entries.len();
            let same =
                |known: &&mut Option<(Entry, _)>| known.as_ref().is_some_and(|(e, _)| e.is(&target, cron.as_str()));
            if let Some((entry, next)) = before.iter_mut().find(same).and_then(Option::take) {
                self.entries.push(entry);
                self.due.extend(next.map(|at| (at, index)));
                continue;
            }
            let reached = kept.iter().find(|kept| kept.target == target && kept.cron == cron.as_str());
            let reached = reached.and_then(|kept| kept.at);
            self.entries.push(Entry { target, cron, late_until: Timestamp::default(), last: None });
            if self.is_on {
                missed.extend(self.begin(index, reached, now));
            }
        }
        let gone = before.into_iter().flatten().map(|(entry, _)| (entry.target, entry.cron.as_str().to_owned()));
        let stale = kept.iter().map(|kept| (kept.target.clone(), kept.cron.clone()));
        for (target, cron) in gone.chain(stale) {
            if !self.entries.iter().any(|entry| entry.is(&target, &cron)) {
                self.unwritten.push(Boundary { target, cron, at: None });
            }
        }
        missed
    }

    fn begin(&mut self, index: usize, reached: Option<Timestamp>, now: Timestamp) -> Option<Missed> {
        // What is new is counted from now on.
        let Some(reached) = reached else {
            self.reach(index, now);
            return None;
        };
        match self.entries[index].cron.next_after(reached) {
            Some(first) if first <= now => Some(self.miss(index, first, now, now)),
            next => {
                self.due.extend(next.map(|at| (at, index)));
                None
            }
        }
    }

    /// When something is to be done.
    pub(in crate::dispatcher) fn next_moment(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| (*at).max(self.not_before))
    }

    /// What is to be done by `now`, one after the other; boundaries up to `passed_over` were missed. What is to be fired is to be told of
    /// to [`Self::fired`].
    pub(super) fn due(&mut self, now: Timestamp, passed_over: Timestamp) -> Option<Due> {
        let (at, index) = *self.due.first()?;
        if at.max(self.not_before) > now {
            return None;
        }
        self.due.pop_first();
        let entry = &self.entries[index];
        if at <= passed_over && at > entry.late_until {
            return Some(Due::Missed(self.miss(index, at, passed_over, now)));
        }
        Some(Due::Fire { index, target: entry.target.clone(), cron: entry.cron.clone(), at })
    }

    /// The boundary was fired: that is to be in the next commit.
    pub(super) fn fired(&mut self, index: usize, at: Timestamp) {
        self.fired.push((index, at));
        self.entries[index].last = Some(at);
        self.reach(index, at);
    }

    /// The boundary could not be fired: it is tried again at `later`.
    pub(super) fn put_back(&mut self, index: usize, at: Timestamp, later: Timestamp) {
        let entry = &mut self.entries[index];
        entry.late_until = entry.late_until.max(at);
        self.due.retain(|(_, other)| *other != index);
        self.due.insert((at, index));
        self.not_before = later;
    }

    /// Everything up to `at` has been dealt with.
    fn reach(&mut self, index: usize, at: Timestamp) {
        let entry = &self.entries[index];
        let (target, cron) = (entry.target.clone(), entry.cron.as_str().to_owned());
        self.due.extend(entry.cron.next_after(at).map(|next| (next, index)));
        self.unwritten.push(Boundary { target, cron, at: Some(at) });
    }

    /// Boundaries from `first` to `until` were missed.
    fn miss(&mut self, index: usize, first: Timestamp, until: Timestamp, now: Timestamp) -> Missed {
        let entry = &mut self.entries[index];
        let boundaries = std::iter::successors(Some(first), |at| entry.cron.next_after(*at));
        let (count, latest) = boundaries.take_while(|at| *at <= until).fold((0, first), |(n, _), at| (n + 1, at));
        // A boundary that is due right now is later than all of them.
        let is_due = entry.cron.next_after(latest).is_some_and(|next| next <= now);
        let (next, runs) = match self.catch_up {
            CatchUp::All => (first, count),
            CatchUp::Latest if !is_due => (latest, 1),
            CatchUp::None | CatchUp::Latest => (latest, 0),
        };
        let (target, cron) = (entry.target.clone(), entry.cron.as_str().to_owned());
        if runs == 0 {
            self.reach(index, latest);
        } else {
            entry.late_until = latest;
            self.due.insert((next, index));
        }
        Missed { target, cron, count, latest, runs }
    }

    /// What is to be in the next commit.
    pub(in crate::dispatcher) fn unwritten(&self) -> &[Boundary] {
        &self.unwritten
    }

    pub(in crate::dispatcher) fn committed(&mut self) {
        self.unwritten.clear();
        self.fired.clear();
    }

    /// Nothing was committed: what was fired is fired again at `later`, what was skipped stays skipped.
    pub(in crate::dispatcher) fn failed(&mut self, later: Timestamp) {
        let fired = std::mem::take(&mut self.fired);
        self.unwritten.retain(|unwritten| {
            let is_fired = |&(index, at): &(usize, Timestamp)| {
                let entry = &self.entries[index];
                unwritten.at == Some(at) && entry.is(&unwritten.target, &unwritten.cron)
            };
            !fired.iter().any(is_fired)
        });
        // The oldest of each is what remains.
        for (index, at) in fired.into_iter().rev() {
            self.put_back(index, at, later);
        }
    }

    pub(in crate::dispatcher) fn states(&self) -> Vec<CronState> {
        let next = |index| self.due.iter().find(|(_, other)| *other == index).map(|(at, _)| *at);
        let state = |(index, entry): (usize, &Entry)| CronState {
            target: entry.target.clone(),
            cron: entry.cron.clone(),
            last: entry.last,
            next: next(index),
        };
        self.entries.iter().enumerate().map(state).collect()
    }
}

impl Entry {
    fn is(&self, target: &CronTarget, cron: &str) -> bool {
        self.target == *target && self.cron.as_str() == cron
    }
}
