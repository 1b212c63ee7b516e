//! Properties of a session: every request of the client gets exactly one answer, whatever happens
//! to the servers, and no request with side effects is sent twice.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use serde_json::{Value, json};

use super::{Talk, messages, trouble, welcome};
use crate::session::{FromClient, FromServer};

/// One event.
#[derive(Clone, Debug)]
enum LawStep {
    /// The client sends a request that is repeatable or not.
    Ask {
        repeatable: bool,
    },
    /// The current server answers its n-th open request.
    Answer(usize),
    /// A server that lost the session answers late.
    LateAnswer(usize),
    /// The server sends a request to the client; each server numbers its requests from 0.
    ServerAsks,
    /// The client answers the n-th request that it saw.
    ClientAnswers(usize),
    BringUp,
    TakeOver,
    GiveUp,
    Crash,
}

fn step() -> impl Strategy<Value = LawStep> {
    prop_oneof![
        5 => any::<bool>().prop_map(|repeatable| LawStep::Ask { repeatable }),
        4 => (0_usize..8).prop_map(LawStep::Answer),
        2 => (0_usize..8).prop_map(LawStep::LateAnswer),
        1 => proptest::strategy::Just(LawStep::ServerAsks),
        1 => (0_usize..8).prop_map(LawStep::ClientAnswers),
        2 => proptest::strategy::Just(LawStep::BringUp),
        2 => proptest::strategy::Just(LawStep::TakeOver),
        1 => proptest::strategy::Just(LawStep::GiveUp),
        1 => proptest::strategy::Just(LawStep::Crash),
    ]
}

struct World {
    talk: Talk,
    current: u32,
    /// The current server lost the session and no other has it yet.
    down: bool,
    candidate: Option<u32>,
    last: u32,
    next_id: u64,
    next_question: u64,
    /// The unanswered requests of each server.
    at_server: BTreeMap<u32, Vec<u64>>,
    /// How many answers the client got to each request.
    answers: BTreeMap<u64, u32>,
    /// How often each request that is not repeatable was sent to a server.
    effects: BTreeMap<u64, u32>,
    /// Requests that the client saw, with their server and its original ID.
    questions: Vec<(Value, u32, u64)>,
}

impl World {
    fn new() -> Self {
        Self {
            talk: Talk::legacy(),
            current: 1,
            down: false,
            candidate: None,
            last: 1,
            next_id: 1,
            next_question: 0,
            at_server: BTreeMap::new(),
            answers: BTreeMap::new(),
            effects: BTreeMap::new(),
            questions: Vec::new(),
        }
    }

    fn deliver(&mut self, lines: &[Value]) {
        for message in lines {
            if let Some(id) = message["id"]
                .as_u64()
                .filter(|_| message.get("method").is_none())
            {
                *self.answers.entry(id).or_default() += 1;
            }
        }
    }

    fn answers(&mut self, server: u32, n: usize) {
        let asked = self.at_server.entry(server).or_default();
        if asked.is_empty() {
            return;
        }
        let id = asked.remove(n % asked.len());
        match self.talk.answer(server, &json!(id), &json!({})) {
            FromServer::Answers(_) | FromServer::Forward => {
                *self.answers.entry(id).or_default() += 1;
            }
            FromServer::Drop => {}
            other => panic!("{other:?}"),
        }
        assert!(self.answers[&id] <= 1, "request {id} was answered twice");
    }

    fn take(&mut self, step: &LawStep) {
        match step {
            LawStep::Ask { repeatable } => {
                if self.down {
                    // Answered by the supervisor, not by the session.
                    return;
                }
                let id = self.next_id;
                self.next_id += 1;
                let method = if *repeatable {
                    "tools/list"
                } else {
                    "tools/call"
                };
                self.talk.ask(id, method, &json!({"name": "t"}));
                self.at_server.entry(self.current).or_default().push(id);
                self.answers.insert(id, 0);
                if !repeatable {
                    *self.effects.entry(id).or_default() += 1;
                }
            }
            LawStep::Answer(n) => self.answers(self.current, *n),
            LawStep::LateAnswer(n) => {
                let servers = self.at_server.keys().copied();
                let others: Vec<u32> = servers.filter(|server| *server < self.current).collect();
                for server in others {
                    self.answers(server, *n);
                }
            }
            LawStep::ServerAsks => self.server_asks(),
            LawStep::ClientAnswers(n) => self.client_answers(*n),
            LawStep::BringUp if self.candidate.is_none() => {
                self.last += 1;
                self.talk.bring_up(self.last, &welcome());
                self.candidate = Some(self.last);
            }
            LawStep::TakeOver => {
                let Some(server) = self.candidate.take() else {
                    return;
                };
                let (to_server, to_client) = self.talk.take_over(server);
                self.current = server;
                self.down = false;
                self.deliver(&to_client);
                for request in &to_server {
                    let id = request["id"].as_u64().unwrap();
                    if request["method"] == "tools/call" {
                        *self.effects.entry(id).or_default() += 1;
                    }
                    self.at_server.entry(server).or_default().push(id);
                }
            }
            LawStep::GiveUp => {
                if let Some(server) = self.candidate.take() {
                    self.talk.0.abandon(server);
                    // Its requests did not reach the client.
                    self.questions.retain(|(_, of, _)| *of != server);
                }
            }
            LawStep::Crash => {
                // Its earlier lines may still arrive.
                self.down = true;
                let lines = messages(&self.talk.0.fail_pending(&trouble(), &HashSet::new()));
                self.deliver(&lines);
            }
            LawStep::BringUp => {}
        }
    }

    fn server_asks(&mut self) {
        // A server numbers its requests from 0; those of a candidate are seen when it takes over.
        let question = self.next_question % 3;
        self.next_question += 1;
        let server = self.candidate.unwrap_or(self.current);
        let open = |(_, of, written): &(Value, u32, u64)| *of == server && *written == question;
        if self.questions.iter().any(open) || self.down && self.candidate.is_none() {
            return;
        }
        let request = json!({"jsonrpc": "2.0", "id": question, "method": "roots/list"});
        let shown = match self.talk.server(server, &request) {
            FromServer::Forward => json!(question),
            FromServer::Replace(line) => messages(&line)[0]["id"].clone(),
            other => panic!("{other:?}"),
        };
        assert!(
            self.questions.iter().all(|(seen, ..)| *seen != shown),
            "{shown} means two questions"
        );
        self.questions.push((shown, server, question));
    }

    fn client_answers(&mut self, n: usize) {
        let seen = |(_, of, _): &(Value, u32, u64)| *of <= self.current;
        let places: Vec<_> = (0..self.questions.len())
            .filter(|at| seen(&self.questions[*at]))
            .collect();
        if places.is_empty() {
            return;
        }
        let (shown, server, written) = self.questions.remove(places[n % places.len()]);
        let answer = json!({"jsonrpc": "2.0", "id": shown, "result": {}});
        match self.talk.client(&answer) {
            FromClient::Forward => assert_eq!(shown, json!(written)),
            FromClient::Replace(line) => {
                assert_eq!(server, self.current, "answered to the wrong server");
                assert_eq!(messages(&line)[0]["id"], json!(written));
            }
            // From a server that lost the session or crashed.
            FromClient::Drop => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_gets_one_answer_and_no_effect_is_asked_for_twice(
        steps in proptest::collection::vec(step(), 0..60)
    ) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        // At the end the server answers all open requests.
        while world.at_server.get(&world.current).is_some_and(|asked| !asked.is_empty()) {
            world.take(&LawStep::Answer(0));
        }
        for (id, answers) in &world.answers {
            assert_eq!(*answers, 1, "request {id} was answered {answers} times");
        }
        assert!(world.effects.values().all(|count| *count == 1));
        assert!(world.talk.0.is_drained());
    }
}
