//! Requests of other commands, and when they are answered.

use std::time::Instant;

use super::event::{Action, ControlReply};
use super::requests::OpenCheck;
use super::stage::StartCause;
use super::{KeeperState, words};
use crate::supervise::request::ControlVerb;

impl KeeperState {
    pub(super) fn asked(&mut self, now: Instant, request: u32, verb: ControlVerb) {
        match verb {
            ControlVerb::Status => self.reply(request, ControlReply::Status),
            ControlVerb::Revoke => self.revoke_on_request(now, request),
            ControlVerb::Check => {
                self.requests.check.push(OpenCheck {
                    request,
                    since: now,
                    is_looked: false,
                });
                self.look_at_files();
            }
            ControlVerb::Renew | ControlVerb::Update if !self.is_keeping() => {
                self.reply(request, ControlReply::Ended);
            }
            ControlVerb::Renew | ControlVerb::Update if self.changes.withdrawal_due => {
                let error = words::revoked_on_request(&self.server);
                self.reply(request, ControlReply::NotRenewed(error));
            }
            ControlVerb::Update => {
                self.requests.update.push(request);
                // A renewal in progress may have started with the old value: then it is looked at after it.
                if self.servers.candidate.is_none() {
                    self.look_at_files();
                }
            }
            ControlVerb::Renew if self.servers.candidate.is_some() => {
                self.requests.later.push(request);
            }
            ControlVerb::Renew => {
                self.requests.renew.push(request);
                self.start(now, StartCause::Renew);
            }
        }
    }

    pub(super) fn reply(&mut self, request: u32, reply: ControlReply) {
        self.act(Action::Reply { request, reply });
    }

    /// Answers the requests for a renewal. After one, those for current values are looked at again.
    pub(super) fn answer_renewals(&mut self, reply: &ControlReply) {
        for request in std::mem::take(&mut self.requests.renew) {
            self.reply(request, reply.clone());
        }
        if *reply != ControlReply::Renewed {
            self.answer_updates(reply);
        }
    }

    pub(super) fn answer_updates(&mut self, reply: &ControlReply) {
        for request in std::mem::take(&mut self.requests.update) {
            self.reply(request, reply.clone());
        }
    }
}
