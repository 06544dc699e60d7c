//! What a prompt is made of, and the values that templates see.

use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use super::comments::Comments;
use super::text::{head, line, mark, tail};
use crate::protocol::followup::FeedbackItem;
use crate::protocol::tasks::Related;

/// An issue of GitHub's has at most 65,536 characters.
const BODY_MAX: usize = 70_000;
/// The longest line.
const LINE_MAX: usize = 400;
/// The most lines of one list.
const LIST_MAX: usize = 60;
/// The longest remark.
const REMARK_MAX: usize = 8_000;
/// The most remarks.
const REMARKS_MAX: usize = 24;
/// The longest file of the repository.
const FILE_MAX: usize = 16_000;
/// The longest reason of a failure; what checks printed may be in it.
const REASON_MAX: usize = 20_000;
/// The longest end of an output.
const OUTPUT_MAX: usize = 4_000;
/// The longest word of the operator's.
const WORD_MAX: usize = 70_000;

/// What is worked on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An issue.
    #[default]
    Issue,
    /// A pull request.
    Pr,
    /// A branch.
    Branch,
    /// A tag.
    Tag,
}

/// An issue; all of it but number and address is somebody's word.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// Where a person reads it; empty if that is not known.
    pub url: String,
    /// One line.
    pub title: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Markdown.
    pub body: String,
}

/// A pull request.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Where a person reads it; empty if that is not known.
    pub url: String,
    /// One line; empty if that is not known. Its author's word.
    pub title: String,
}

/// A file that the repository keeps for whoever works in it.
#[derive(Clone, Debug, Serialize)]
pub struct File {
    /// Its path.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// The attempt before this one.
#[derive(Clone, Debug, Serialize)]
pub struct Earlier {
    /// How it ended, as one word.
    pub class: String,
    /// The same in words; they may hold what its program said.
    pub reason: Option<String>,
    /// The end of what its program put out.
    pub output: Option<String>,
}

/// See the module. Whatever is not said to be the operator's or Dispatch's own is somebody else's word, and stands in a
/// fence.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `owner/name`.
    pub repo: String,
    /// What is worked on.
    pub kind: Kind,
    /// The issue, if it is about one.
    pub issue: Option<Issue>,
    /// What was said under the issue; `None` if nobody has asked for it.
    pub comments: Option<Comments>,
    /// The pull request, if it is about one.
    pub pull: Option<Pull>,
    /// The branch that the work is on.
    pub branch: Option<String>,
    /// The branch that it starts from, or goes to.
    pub base: Option<String>,
    /// The tag that the checkout stands at.
    pub tag: Option<String>,
    /// The commit that the work starts from.
    pub head: Option<String>,
    /// What is asked for, in the operator's words.
    pub request: Option<String>,
    /// What the operator answered.
    pub answer: Option<String>,
    /// What that answers.
    pub question: Option<String>,
    /// What shows that the issue is done, by its own text.
    pub criteria: Vec<String>,
    /// Why the pull request needs work.
    pub reasons: Vec<String>,
    /// What was said of it, and what its checks printed.
    pub feedback: Vec<FeedbackItem>,
    /// What touches the task.
    pub related: Vec<Related>,
    /// The newest commits on the base, one line each.
    pub commits: Vec<String>,
    /// The repository's own word, from its base branch.
    pub files: Vec<File>,
    /// The attempt before this one.
    pub earlier: Option<Earlier>,
    /// Rules of Dispatch's own, a sentence each.
    pub rules: Vec<String>,
    /// What is explicitly fine, in words of Dispatch's own.
    pub allowed: Vec<String>,
    /// Whether the program says what came of its task in its last line (else its exit and what it leaves say so).
    pub last_line: bool,
}

fn lines(list: &[String]) -> Vec<String> {
    list.iter().take(LIST_MAX).map(|l| line(l, LINE_MAX)).filter(|l| !l.is_empty()).collect()
}

fn given(text: Option<&String>, max: usize) -> Option<String> {
    text.map(|t| head(t, max)).filter(|t| !t.is_empty())
}

fn name(text: Option<&String>) -> Option<String> {
    text.map(|t| line(t, LINE_MAX)).filter(|t| !t.is_empty())
}

fn first(text: &str) -> String {
    line(text.lines().next().unwrap_or_default(), LINE_MAX)
}

/// An address, or a name that git knows: it stands outside of fences, so that nothing can be said in it.
fn word(text: &str) -> String {
    let odd = |c: &char| c.is_whitespace() || matches!(c, '`' | '<' | '>');
    line(text, LINE_MAX).chars().filter(|c| !odd(c)).collect()
}

fn remark(item: &FeedbackItem) -> FeedbackItem {
    FeedbackItem {
        author: name(item.author.as_ref()),
        path: name(item.path.as_ref()),
        line: item.line,
        text: head(&item.text, REMARK_MAX),
    }
}

impl Facts {
    /// The same, bounded, and without what a reader would not see.
    fn cleaned(&self) -> Self {
        let issue = self.issue.as_ref().map(|i| Issue {
            number: i.number,
            url: word(&i.url),
            title: line(&i.title, LINE_MAX),
            labels: lines(&i.labels),
            body: head(&i.body, BODY_MAX),
        });
        let pull = self.pull.as_ref().map(|p| Pull {
            number: p.number,
            url: word(&p.url),
            title: line(&p.title, LINE_MAX),
        });
        let related = self.related.iter().take(LIST_MAX).map(|r| Related {
            kind: r.kind,
            number: r.number,
            title: line(&r.title, LINE_MAX),
            url: word(&r.url),
            why: line(&r.why, LINE_MAX),
        });
        let file = |f: &File| File { path: line(&f.path, LINE_MAX), text: head(&f.text, FILE_MAX) };
        let earlier = self.earlier.as_ref().map(|e| Earlier {
            class: line(&e.class, LINE_MAX),
            reason: e.reason.as_ref().map(|t| tail(t, REASON_MAX)).filter(|t| !t.is_empty()),
            output: e.output.as_ref().map(|t| tail(t, OUTPUT_MAX)).filter(|t| !t.is_empty()),
        });
        // The newest remarks count most.
        let skipped = self.feedback.len().saturating_sub(REMARKS_MAX);
        Self {
            repo: word(&self.repo),
            kind: self.kind,
            issue,
            comments: self.comments.as_ref().map(Comments::cleaned),
            pull,
            branch: self.branch.as_deref().map(word).filter(|w| !w.is_empty()),
            base: self.base.as_deref().map(word).filter(|w| !w.is_empty()),
            tag: self.tag.as_deref().map(word).filter(|w| !w.is_empty()),
            head: self.head.as_deref().map(word).filter(|w| !w.is_empty()),
            request: given(self.request.as_ref(), WORD_MAX),
            answer: given(self.answer.as_ref(), WORD_MAX),
            question: given(self.question.as_ref(), REMARK_MAX),
            criteria: lines(&self.criteria),
            reasons: lines(&self.reasons),
            feedback: self.feedback.iter().skip(skipped).map(remark).collect(),
            related: related.collect(),
            commits: lines(&self.commits),
            files: self.files.iter().map(file).filter(|f| !f.text.is_empty()).collect(),
            earlier,
            rules: self.rules.clone(),
            allowed: self.allowed.clone(),
            last_line: self.last_line,
        }
    }

    /// Every word in it that is not Dispatch's own.
    fn words(&self) -> Vec<&str> {
        let mut words: Vec<&str> = Vec::new();
        if let Some(issue) = &self.issue {
            words.extend([issue.title.as_str(), &issue.body, &issue.url]);
            words.extend(issue.labels.iter().map(String::as_str));
        }
        words.extend(self.comments.iter().flat_map(Comments::words));
        if let Some(pull) = &self.pull {
            words.extend([pull.title.as_str(), &pull.url]);
        }
        let texts =
            [&self.branch, &self.base, &self.tag, &self.head, &self.request, &self.answer, &self.question];
        words.extend(texts.into_iter().flatten().map(String::as_str));
        for list in [&self.criteria, &self.reasons, &self.commits] {
            words.extend(list.iter().map(String::as_str));
        }
        for item in &self.feedback {
            words.extend([&item.author, &item.path].into_iter().flatten().map(String::as_str));
            words.push(&item.text);
        }
        words.extend(self.related.iter().flat_map(|r| [r.title.as_str(), &r.url, &r.why]));
        words.extend(self.files.iter().flat_map(|f| [f.path.as_str(), &f.text]));
        if let Some(earlier) = &self.earlier {
            words.extend([&earlier.reason, &earlier.output].into_iter().flatten().map(String::as_str));
        }
        words
    }

    /// What templates see. `besides` is foreign text that the template sees by other names.
    ///
    /// `repo kind issue comments pull number title url labels body branch base tag head request answer question criteria
    /// reasons feedback related commits files earlier previous rules allowed last_line fence`: `number`, `title` and `url`
    /// are those of what is worked on; `comments` has `list`, `older` and `unread`; `previous` is `earlier` as one sentence;
    /// `fence` is a mark that no foreign text holds.
    #[must_use]
    pub fn values(&self, besides: &[&str]) -> Value {
        let facts = self.cleaned();
        let mut words = facts.words();
        words.extend(besides);
        let fence = mark(words);
        let issue = facts.issue.as_ref();
        let (number, title, url) = match (facts.kind, &facts.pull, issue) {
            (Kind::Pr, Some(pull), _) => (pull.number, pull.title.clone(), pull.url.clone()),
            (_, _, Some(issue)) => (issue.number, issue.title.clone(), issue.url.clone()),
            _ => (0, facts.request.as_deref().map_or_else(String::new, first), String::new()),
        };
        let body = issue.map(|i| i.body.clone()).filter(|b| !b.is_empty());
        let previous = facts.earlier.as_ref().map(|e| match &e.reason {
            Some(reason) => format!("{}: {reason}", e.class),
            None => e.class.clone(),
        });
        context! {
            repo => facts.repo,
            kind => Serde(facts.kind),
            number => number,
            title => title,
            url => url,
            labels => issue.map(|i| i.labels.join(", ")),
            body => body.unwrap_or_else(|| "(no description)".to_owned()),
            issue => Serde(&facts.issue),
            comments => Serde(&facts.comments),
            pull => Serde(&facts.pull),
            branch => facts.branch,
            base => facts.base,
            tag => facts.tag,
            head => facts.head,
            request => facts.request,
            answer => facts.answer,
            question => facts.question,
            criteria => facts.criteria,
            reasons => facts.reasons,
            feedback => Serde(&facts.feedback),
            related => Serde(&facts.related),
            commits => facts.commits,
            files => Serde(&facts.files),
            earlier => Serde(&facts.earlier),
            previous => previous,
            rules => facts.rules,
            allowed => facts.allowed,
            last_line => facts.last_line,
            fence => fence,
        }
    }
}
