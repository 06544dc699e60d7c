//! Pages that are asked for often: read with the validator of the last time, so that an unchanged one costs nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use url::Url;

use super::answer::Answer;
use super::call::Call;
use super::client::Client;
use super::link::link;
use crate::core::record::Repo;
use crate::edges::ForgeError;

/// Small pages that are read again and again, with their validators, by address. One client has one token and one
/// `Accept`, so these need not be named.
#[derive(Default)]
pub(super) struct Pages(Mutex<HashMap<Url, (String, Answer)>>);

impl Pages {
    /// Pages kept, and the largest.
    const MOST: usize = 2_000;
    const LARGEST: usize = 64 << 10;

    fn get(&self, url: &Url) -> Option<(String, Answer)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
    }

    fn put(&self, url: Url, answer: &Answer) {
        let Some(etag) = answer.etag().filter(|_| answer.body.len() <= Self::LARGEST) else { return };
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() >= Self::MOST {
            pages.clear();
        }
        pages.insert(url, (etag.to_owned(), answer.clone()));
    }
}

impl Client {
    /// Reads JSON that is asked for often: with the validator of the last time, so that an unchanged page costs nothing.
    /// Only what was understood is remembered: a page that is not must come again.
    pub(super) async fn remembered<T: DeserializeOwned>(
        &self,
        repo: &Repo,
        url: Url,
        what: &str,
    ) -> Result<T, ForgeError> {
        self.recall(Call::get(url, what).of(repo)).await.map(|(got, _)| got)
    }

    /// The same of one page of a list about `repo`; also where the next one is.
    pub(super) async fn remembered_page<T: DeserializeOwned>(
        &self,
        repo: &Repo,
        url: Url,
        what: &str,
    ) -> Result<(T, Option<Url>), ForgeError> {
        let (got, answer) = self.recall(Call::get(url, what).of(repo)).await?;
        let next = link(&answer.headers, "next").map(|next| self.given(&next, what)).transpose()?;
        Ok((got, next))
    }

    async fn recall<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<(T, Answer), ForgeError> {
        let (url, what) = (call.url.clone(), call.what);
        let known = self.pages.get(&url);
        let etag = known.as_ref().map(|(etag, _)| etag.as_str());
        let answer = self.call(Call { etag, ..call }).await?;
        match known {
            Some((_, known)) if answer.status == StatusCode::NOT_MODIFIED => Ok((known.json(what)?, known)),
            _ => {
                let got = answer.json(what)?;
                self.pages.put(url, &answer);
                Ok((got, answer))
            }
        }
    }
}
