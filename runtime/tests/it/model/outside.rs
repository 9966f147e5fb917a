//! The model: what people and processes do to an instance.

use std::sync::Arc;

use super::plain::{At, Model, Record, is_final, lost_attempt, terminated};
use super::program::{Act, Ms, No, Op};

impl Model {
    /// Does `op`, the event of which has this payload. The text: why it is refused.
    pub(super) fn operate(&mut self, op: &Op, payload: &str, now: Ms, trail: &mut Vec<Self>) -> Result<(), String> {
        if let Op::Recreate = op {
            return self.recreate(trail);
        }
        if !self.exists {
            return Err("(instance.not_found) Instance not found".into());
        }
        match op {
            Op::Pause => self.pause(now),
            Op::Resume => self.resume(now),
            Op::Event(kind) => self.event(*kind, payload, now)?,
            Op::Terminate { rollback } => self.terminate(*rollback)?,
            Op::Restart => {
                self.see(if is_final(self.status) { "restart of a finished one" } else { "restart of a live one" });
                self.start_again(0);
            }
            Op::RestartFrom(no) => self.restart_from(no % self.program.acts.len(), now)?,
            Op::Recreate | Op::Kill(_) | Op::KillAfter(_) | Op::Stop(_) => return Ok(()),
        }
        trail.push(self.clone());
        Ok(())
    }

    fn recreate(&mut self, trail: &mut Vec<Self>) -> Result<(), String> {
        let existed = std::mem::replace(&mut self.exists, false);
        trail.push(self.clone());
        self.see(if is_final(self.status) { "delete of a finished one" } else { "delete of a live one" });
        let Self { effects, seen, program, .. } = self.clone();
        *self = Self { effects, seen, ..Self::new(program) };
        trail.push(self.clone());
        if existed { Ok(()) } else { Err("(instance.not_found) Instance not found".into()) }
    }

    fn pause(&mut self, now: Ms) {
        match self.status {
            "running" => {
                self.see("pause while a body runs");
                self.status = "waitingForPause";
            }
            "waiting" => {
                self.see("pause of one that waits");
                (self.status, self.paused_at) = ("paused", Some(now));
            }
            "rollingBack" => self.see("pause of one that rolls back"),
            _ => self.see("pause without effect"),
        }
    }

    fn resume(&mut self, now: Ms) {
        match self.status {
            "waitingForPause" => {
                self.see("pause that is taken back");
                self.status = "running";
            }
            "paused" => {
                self.see("resume");
                self.shift(now);
                self.status = "running";
                self.lose(now);
            }
            _ => self.see("resume without effect"),
        }
    }

    /// Timers stood still since the pause.
    fn shift(&mut self, now: Ms) {
        let Some(paused_at) = self.paused_at.take() else { return };
        let by = now - paused_at;
        for record in &mut self.records {
            let at = match &mut record.at {
                At::Dropped(was) => &mut **was,
                at => at,
            };
            match at {
                At::Delay { at, .. } | At::Asleep(at) | At::Waits(at) => {
                    *at += by;
                    self.seen.insert("timer that a pause moves");
                }
                _ => {}
            }
        }
    }

    fn event(&mut self, kind: u8, payload: &str, now: Ms) -> Result<(), String> {
        if is_final(self.status) {
            self.see("event that is refused");
            return Err(format!("(instance.cannot_send_event) Instance is {}", self.status));
        }
        let program = Arc::clone(&self.program);
        let waits = |record: &Record| {
            matches!(record.at, At::Waits(_))
                && matches!(program.acts[record.no], Act::Wait { kind: of, .. } if of == kind)
        };
        match self.records.iter().position(waits) {
            Some(index) if self.status != "rollingBack" => {
                self.see(if self.status == "paused" { "event for a wait that is paused" } else { "event for a wait" });
                self.records[index].at = self.done(Ok(format!("{payload}@{now}")));
            }
            _ => self.events.push_back((kind, payload.to_owned(), now)),
        }
        Ok(())
    }

    fn terminate(&mut self, rollback: bool) -> Result<(), String> {
        match (self.status, rollback) {
            (status, _) if is_final(status) => {
                self.see("terminate that is refused");
                return Err("(instance.cannot_terminate) Cannot terminate instance since its on a finite state".into());
            }
            ("rollingBack", true) => self.see("terminate that rolls back already"),
            ("rollingBack", false) => {
                self.see("terminate that ends a rollback");
                self.undoing = None;
                self.rollback = Some(Some(terminated()));
                self.status = "terminated";
            }
            (_, true) if self.can_undo() => {
                self.see("terminate with rollback");
                self.paused_at = None;
                self.roll_back(terminated(), true);
            }
            _ => {
                self.see("terminate");
                self.status = "terminated";
            }
        }
        Ok(())
    }

    fn restart_from(&mut self, no: No, now: Ms) -> Result<(), String> {
        let Some(index) = self.records.iter().position(|record| record.no == no) else {
            self.see("restart from a step that has not begun");
            return Err(format!(r#"(instance.cannot_restart) Step "s{no}" not found in execution history"#));
        };
        // Also when it was terminated meanwhile: what was left to wait is left.
        self.shift(now);
        self.see("restart from a step");
        self.start_again(index);
        for index in 0..self.records.len() {
            match &self.records[index].at {
                At::Done(..) => self.see("restart that keeps what is done"),
                // Its body is cut. It did not fail.
                At::Running { attempt, .. } => {
                    let attempt = *attempt;
                    self.records[index].at = At::Delay { attempt, at: now };
                    self.see("restart that cuts a body beside");
                }
                _ => self.see("restart that keeps what waits"),
            }
        }
        Ok(())
    }

    /// Forgets everything but the first records.
    fn start_again(&mut self, keep: usize) {
        let Self { effects, seen, finished, program, .. } = self.clone();
        let records = self.records[..keep].to_vec();
        *self = Self { effects, seen, finished, records, ..Self::new(program) };
    }

    // ---- processes ------------------------------------------------------------------------------------------------

    /// The process is stopped in good order: attempts that run do not count.
    pub(super) fn stop(&mut self, now: Ms) {
        let cut = |at: &mut At| {
            if let At::Running { attempt, .. } = *at {
                *at = At::Delay { attempt, at: now };
            }
        };
        match self.status {
            "running" | "waitingForPause" => self.records.iter_mut().for_each(|record| cut(&mut record.at)),
            "rollingBack" => self.undoing.iter_mut().filter_map(|undoing| undoing.at.as_mut()).for_each(cut),
            _ => {}
        }
    }

    /// Whether an attempt was lost with a process, and a sleep or a wait has ended before the next one began: which was first is not promised.
    pub(super) fn wakes_to_a_tie(&self, now: Ms) -> bool {
        let any = |is: fn(&At, Ms) -> bool| self.records.iter().any(|record| is(&record.at, now));
        any(|at, _| matches!(at, At::Running { .. }))
            && any(|at, now| matches!(at, At::Asleep(at) | At::Waits(at) if *at <= now))
    }

    /// A process starts where one has ended.
    pub(super) fn wake(&mut self, now: Ms) {
        match self.status {
            "waitingForPause" => (self.status, self.paused_at) = ("paused", Some(now)),
            "running" | "waiting" => self.lose(now),
            "rollingBack" => {
                let Some(undoing) = &mut self.undoing else { return };
                let Some(At::Running { attempt, .. }) = undoing.at else { return };
                let next = self.records[..undoing.left].iter().rfind(|record| self.program.undo(record.no).is_some());
                let limit = next.and_then(|record| self.program.undo(record.no)).map_or(0, |undo| undo.retries.limit);
                if attempt <= limit {
                    undoing.at = Some(At::Delay { attempt: attempt + 1, at: now });
                    self.see("process that dies while a compensation runs");
                } else {
                    self.see("process that dies in the last attempt of a compensation");
                    self.undone(Some(lost_attempt()));
                }
            }
            _ => {}
        }
    }

    /// Attempts that ran when the process died have failed.
    fn lose(&mut self, now: Ms) {
        for index in 0..self.records.len() {
            let Record { no, ref at, .. } = self.records[index];
            if let (At::Running { attempt, .. }, Act::Do(step)) = (at.clone(), &self.program.acts[no]) {
                self.records[index].at = if attempt <= step.retries.limit {
                    self.see("process that dies while a body runs");
                    At::Delay { attempt: attempt + 1, at: now }
                } else {
                    self.see("process that dies in the last attempt");
                    self.done(Err(lost_attempt()))
                };
            }
        }
    }
}
