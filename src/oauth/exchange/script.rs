//! Exchanges of unit tests: scripted answers, in order, and the requests that were made.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::{Exchange, ExchangeAnswer, ExchangeRequest, Whereabouts};
use crate::bridge::channel::SecretText;
use crate::error::{CauseKind, Code, Error, Result};

/// A scripted internet. An answer is used once, by the next request for its address.
#[derive(Debug, Default)]
pub struct Script {
    answers: RefCell<VecDeque<(String, Option<ExchangeAnswer>)>>,
    asked: RefCell<Vec<ExchangeRequest>>,
}

impl Script {
    /// Answers a request for this address.
    pub fn answer(self, address: &str, status: u16, body: &str) -> Self {
        self.answer_with(address, status, &[], body)
    }

    pub fn answer_with(
        self,
        address: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Self {
        let headers = headers.iter();
        let answer = ExchangeAnswer {
            status,
            headers: headers
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            body: SecretText::new(body.to_owned()),
            whereabouts: Some(Whereabouts::Public),
        };
        self.answers
            .borrow_mut()
            .push_back((address.to_owned(), Some(answer)));
        self
    }

    /// Does not answer a request for this address.
    pub fn silence(self, address: &str) -> Self {
        self.answers
            .borrow_mut()
            .push_back((address.to_owned(), None));
        self
    }

    /// The requests so far: method and address.
    pub fn asked(&self) -> Vec<String> {
        let line = |request: &ExchangeRequest| {
            let method = if request.body.is_some() {
                "POST"
            } else {
                "GET"
            };
            format!("{method} {}", request.address.as_str())
        };
        self.asked.borrow().iter().map(line).collect()
    }

    /// The body of the last request for this address.
    pub fn sent(&self, address: &str) -> String {
        let asked = self.asked.borrow();
        let request = asked
            .iter()
            .rev()
            .find(|request| request.address.as_str() == address);
        let body = request.and_then(|request| request.body.clone());
        body.map_or_else(String::new, |body| body.as_str().to_owned())
    }

    /// A header of the last request for this address.
    pub fn header(&self, address: &str, name: &str) -> Option<String> {
        let asked = self.asked.borrow();
        let request = asked
            .iter()
            .rev()
            .find(|request| request.address.as_str() == address)?;
        let (_, value) = request.headers.iter().find(|(known, _)| known == name)?;
        Some(value.as_str().to_owned())
    }

    /// Nothing is left to answer.
    pub fn is_done(&self) -> bool {
        self.answers.borrow().is_empty()
    }
}

impl Exchange for Script {
    /// A request without an answer gets 404.
    fn send(&self, request: &ExchangeRequest) -> Result<ExchangeAnswer> {
        self.asked.borrow_mut().push(request.clone());
        let mut answers = self.answers.borrow_mut();
        let found = answers
            .iter()
            .position(|(address, _)| address == request.address.as_str());
        match found.and_then(|at| answers.remove(at)) {
            Some((_, Some(answer))) => Ok(answer),
            Some((_, None)) => Err(Error::new(Code::OAuthUnreachable, "cannot ask")
                .cause_of(CauseKind::Unreachable, "no answer")),
            None => Ok(ExchangeAnswer {
                status: 404,
                headers: Vec::new(),
                body: SecretText::new("not found".to_owned()),
                whereabouts: Some(Whereabouts::Public),
            }),
        }
    }
}
