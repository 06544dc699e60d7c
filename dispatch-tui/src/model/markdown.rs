//! Markdown as lines for the terminal: headings, lists, check marks, quotes, code, links by their address.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthChar;

use super::text;
use crate::theme::{Role, Theme};

struct Writer {
    theme: Theme,
    lines: Vec<Line<'static>>,
    spans: Vec<Span<'static>>,
    styles: Vec<Style>,
    /// What stands before each line: quotes and the indent of lists.
    indent: String,
    /// One entry per open list: the next number, or none for bullets.
    lists: Vec<Option<u64>>,
    in_code: bool,
    link: Option<String>,
}

/// Renders `source`, whatever is in it.
pub(crate) fn render(source: &str, theme: Theme) -> Vec<Line<'static>> {
    let mut w = Writer {
        theme,
        lines: Vec::new(),
        spans: Vec::new(),
        styles: vec![Style::new()],
        indent: String::new(),
        lists: Vec::new(),
        in_code: false,
        link: None,
    };
    let options = Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES;
    for event in Parser::new_ext(source, options) {
        w.take(event);
    }
    w.end_line();
    while w.lines.last().is_some_and(|l| l.width() == 0) {
        w.lines.pop();
    }
    w.lines
}

impl Writer {
    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn push(&mut self, text: &str) {
        let style = self.style();
        self.spans.push(Span::styled(text::line(text), style));
    }

    fn open(&mut self, add: Style) {
        let style = self.style().patch(add);
        self.styles.push(style);
    }

    fn end_line(&mut self) {
        if !self.spans.is_empty() {
            let mut spans = vec![Span::raw(self.indent.clone())];
            spans.append(&mut self.spans);
            self.lines.push(Line::from(spans));
        }
    }

    fn gap(&mut self) {
        self.end_line();
        if self.lists.is_empty() && self.lines.last().is_some_and(|l| l.width() > 0) {
            self.lines.push(Line::default());
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code => {
                for line in text.lines() {
                    self.push(&format!("  {line}"));
                    self.end_line();
                }
            }
            Event::Text(text) => self.push(&text),
            Event::Code(text) => {
                self.open(self.theme.style(Role::Running));
                self.push(&text);
                self.styles.pop();
            }
            Event::SoftBreak => self.push(" "),
            Event::HardBreak => self.end_line(),
            Event::Rule => {
                self.gap();
                self.push("────");
                self.gap();
            }
            Event::TaskListMarker(done) => self.push(if done { "[x] " } else { "[ ] " }),
            Event::Html(text) | Event::InlineHtml(text) => {
                self.open(self.theme.style(Role::Dim));
                self.push(&text);
                self.styles.pop();
            }
            Event::InlineMath(text) | Event::DisplayMath(text) => self.push(&text),
            Event::FootnoteReference(name) => self.push(&format!("[{name}]")),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { .. } => {
                self.gap();
                self.open(self.theme.style(Role::Strong));
            }
            Tag::Strong | Tag::TableHead => self.open(self.theme.style(Role::Strong)),
            Tag::Emphasis => self.open(Style::new().add_modifier(Modifier::ITALIC)),
            Tag::Strikethrough => self.open(Style::new().add_modifier(Modifier::CROSSED_OUT)),
            Tag::CodeBlock(_) => {
                self.gap();
                self.in_code = true;
                self.open(self.theme.style(Role::Running));
            }
            Tag::BlockQuote(_) => {
                self.gap();
                self.indent.push_str("│ ");
            }
            Tag::List(first) => {
                self.gap();
                self.end_line();
                if !self.lists.is_empty() {
                    self.indent.push_str("  ");
                }
                self.lists.push(first);
            }
            Tag::Item => {
                self.end_line();
                let mark = match self.lists.last_mut() {
                    Some(Some(n)) => {
                        *n += 1;
                        format!("{}. ", *n - 1)
                    }
                    _ => "- ".to_owned(),
                };
                self.push(&mark);
            }
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.link = Some(text::line(&dest_url));
                self.open(Style::new().add_modifier(Modifier::UNDERLINED));
            }
            Tag::TableCell => self.push(" "),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.gap(),
            TagEnd::Heading(_) => {
                self.styles.pop();
                self.gap();
            }
            TagEnd::TableHead => {
                self.styles.pop();
                self.end_line();
            }
            TagEnd::TableRow => self.end_line(),
            TagEnd::TableCell => self.push(" |"),
            TagEnd::Table => self.gap(),
            TagEnd::Strong | TagEnd::Emphasis | TagEnd::Strikethrough => drop(self.styles.pop()),
            TagEnd::CodeBlock => {
                self.styles.pop();
                self.in_code = false;
                self.gap();
            }
            TagEnd::BlockQuote(_) => {
                self.end_line();
                self.indent.truncate(self.indent.len().saturating_sub("│ ".len()));
                self.gap();
            }
            TagEnd::List(_) => {
                self.end_line();
                self.lists.pop();
                if self.lists.is_empty() {
                    self.gap();
                } else {
                    self.indent.truncate(self.indent.len().saturating_sub(2));
                }
            }
            TagEnd::Item => self.end_line(),
            TagEnd::Link | TagEnd::Image => {
                self.styles.pop();
                if let Some(to) = self.link.take()
                    && self.spans.last().is_none_or(|s| s.content != to)
                {
                    // The address is shown, so that the text cannot lie about where it leads.
                    self.push(&format!(" <{to}>"));
                }
            }
            _ => {}
        }
    }
}

/// Breaks styled lines at `columns`, between words where it can.
pub(crate) fn wrap(lines: &[Line<'static>], columns: usize) -> Vec<Line<'static>> {
    let columns = columns.max(1);
    let mut out = Vec::new();
    for line in lines {
        let chars: Vec<(char, Style)> =
            line.spans.iter().flat_map(|s| s.content.chars().map(|c| (c, s.style))).collect();
        let mut rest = &chars[..];
        loop {
            let cut = cut_at(rest, columns);
            out.push(join(&rest[..cut]));
            rest = &rest[cut..];
            while cut > 0 && rest.first().is_some_and(|(c, _)| *c == ' ') {
                rest = &rest[1..];
            }
            if rest.is_empty() {
                break;
            }
        }
    }
    out
}

fn cut_at(chars: &[(char, Style)], columns: usize) -> usize {
    let (mut used, mut space) = (0, None);
    for (at, (c, _)) in chars.iter().enumerate() {
        // An indent is no place to break at; a space just past the edge is.
        if *c == ' ' && used <= columns && chars[..at].iter().any(|(c, _)| *c != ' ') {
            space = Some(at);
        }
        used += c.width().unwrap_or(0);
        if used > columns {
            return space.unwrap_or(at.max(1));
        }
    }
    chars.len()
}

fn join(chars: &[(char, Style)]) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (c, style) in chars {
        match spans.last_mut() {
            Some(last) if last.style == *style => last.content.to_mut().push(*c),
            _ => spans.push(Span::styled(c.to_string(), *style)),
        }
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(source: &str) -> Vec<String> {
        render(source, Theme::default()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_usual_parts_of_an_issue_are_readable() {
        let source = "Policy is *slow*.\n\n## Criteria\n- [x] one\n- [ ] two\n  - deep\n\n1. a\n2. b\n\n> said\n\n```\nlet x;\n```\n[docs](http://x/y)";
        assert_eq!(
            plain(source),
            [
                "Policy is slow.",
                "",
                "Criteria",
                "",
                "- [x] one",
                "- [ ] two",
                "  - deep",
                "",
                "1. a",
                "2. b",
                "",
                "│ said",
                "",
                "  let x;",
                "",
                "docs <http://x/y>"
            ]
        );
    }

    #[test]
    fn hostile_text_is_not_obeyed() {
        assert_eq!(plain("a\u{1b}[31mb"), ["a␛[31mb"]);
    }

    #[test]
    fn styled_lines_wrap_between_words() {
        let lines = wrap(&[Line::from("one two three"), Line::default(), Line::from("abcdefgh")], 7);
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["one two", "three", "", "abcdefg", "h"]);
    }
}
