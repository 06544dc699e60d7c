//! Streams that real programs put out, in one table of what must be read from them, and the same streams as they come on a
//! bad day: cut, split, torn, interleaved, with events that nobody knows.

use super::*;
use crate::edges::Exit;

struct Row {
    format: Format,
    name: &'static str,
    code: i32,
    class: Option<EndClass>,
    /// Read, of these from a cache, written, thought.
    tokens: [u64; 4],
    cost: Option<f64>,
    session: &'static str,
}

#[rustfmt::skip]
fn table() -> Vec<Row> {
    use EndClass::{Auth, Budget, Failed, RateLimited, Turns};
    use Format::{
        ClaudeStreamJson as Claude, CoderabbitJson as Coderabbit, CodexJson as Codex, CopilotJson as Copilot,
        GeminiStreamJson as Gemini, OpencodeJson as Opencode, Plain,
    };
    let row = |format, name, code, class, tokens, cost, session| Row { format, name, code, class, tokens, cost, session };
    vec![
        row(Claude, "claude-text", 0, None, [420, 300, 12, 0], Some(0.001_075), "ffb21a25"),
        row(Claude, "claude-tool", 0, None, [840, 600, 24, 0], Some(0.002_15), "71e54f39"),
        row(Claude, "claude-resume", 0, None, [420, 300, 12, 0], Some(0.001_075), "11111111"),
        row(Claude, "claude-budget", 1, Some(Budget), [420, 300, 12, 0], Some(0.001_075), "6c538e2d"),
        row(Claude, "claude-maxturns", 1, Some(Turns), [420, 300, 12, 0], Some(0.001_075), "0479ece2"),
        row(Claude, "claude-final401", 1, Some(Auth), [0; 4], Some(0.0), "83132db1"),
        row(Claude, "claude-final429", 1, Some(RateLimited), [0; 4], Some(0.0), "3671d2cd"),
        row(Claude, "claude-final529", 1, Some(RateLimited), [0; 4], Some(0.0), "065fee22"),
        row(Claude, "claude-sigINT", 0, Some(Failed), [0; 4], None, "3f395e80"),
        row(Claude, "qwen-stream-tool", 0, None, [2000, 800, 100, 0], None, "91ef0760"),
        row(Claude, "qwen-fail401", 0, Some(Auth), [0; 4], None, "f5563d96"),
        row(Codex, "codex-json", 0, None, [1000, 400, 50, 0], None, "01a1f818-218b"),
        row(Codex, "codex-json-tool", 0, None, [2000, 800, 100, 0], None, "01a1f818-22c3"),
        row(Codex, "codex-resume", 0, None, [3000, 1200, 150, 0], None, "01a1f818-22c3"),
        row(Codex, "codex-fail401", 1, Some(Auth), [0; 4], None, "01a1f818-8d4d"),
        row(Codex, "codex-fail429", 1, Some(RateLimited), [0; 4], None, "01a1f818-92b4"),
        row(Codex, "codex-fail500", 1, Some(RateLimited), [0; 4], None, "01a1f818-982d"),
        row(Gemini, "gemini-stream-tool", 0, None, [2000, 800, 100, 20], None, "e8e9633b"),
        row(Gemini, "gemini-fail401", 145, Some(Auth), [0; 4], None, "d6f3a796"),
        row(Gemini, "gemini-fail429", 173, Some(RateLimited), [0; 4], None, "52e4c1f7"),
        row(Opencode, "opencode-json", 0, None, [1000, 400, 40, 10], Some(0.000_7), "ses_e07e69346"),
        row(Opencode, "opencode-json-tool", 0, None, [2000, 800, 80, 20], Some(0.001_4), "ses_e07e688b6"),
        row(Opencode, "opencode-fail429", 1, Some(RateLimited), [0; 4], None, "ses_e07e6241f"),
        row(Copilot, "copilot-tool", 0, None, [0; 4], None, "c2751ec4"),
        row(Copilot, "copilot-fail429", 1, Some(RateLimited), [0; 4], None, "b38130cc"),
        row(Copilot, "copilot-fail401", 1, Some(Auth), [0; 4], None, "9fb6d25b"),
        row(Coderabbit, "coderabbit-review", 0, None, [0; 4], None, ""),
        row(Coderabbit, "coderabbit-error", 1, Some(RateLimited), [0; 4], None, ""),
        row(Plain, "plain-fail429", 1, Some(RateLimited), [0; 4], None, ""),
    ]
}

fn bytes(name: &str) -> Vec<u8> {
    let path = format!("{}/../tests/fixtures/streams/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn read(format: Format, bytes: &[u8]) -> Reader {
    let mut reader = Reader::new(format);
    reader.push(bytes);
    reader.finish();
    reader
}

impl Row {
    /// Holds what was read against the table.
    #[track_caller]
    fn check(&self, reader: &Reader, what: &str) {
        let judged = reader.judge(Exit::Code(self.code));
        assert_eq!(judged.as_ref().err().map(|(c, _)| *c), self.class, "{} {what}: {judged:?}", self.name);
        let u = reader.summary.usage;
        let tokens = [u.input_tokens, u.cached_tokens, u.output_tokens, u.reasoning_tokens];
        assert_eq!(tokens, self.tokens, "{} {what}", self.name);
        let same = match (u.cost_usd, self.cost) {
            (Some(one), Some(two)) => (one - two).abs() < 1e-9,
            (one, two) => one == two,
        };
        assert!(same, "{} {what}: {:?} is not {:?}", self.name, u.cost_usd, self.cost);
        let session = reader.summary.session.clone().unwrap_or_default();
        assert!(session.starts_with(self.session), "{} {what}: {session}", self.name);
        assert_eq!(session.is_empty(), self.session.is_empty(), "{} {what}", self.name);
    }
}

#[test]
fn every_recorded_stream_is_judged_and_counted() {
    for row in table() {
        row.check(&read(row.format, &bytes(row.name)), "as recorded");
    }
    let dir = format!("{}/../tests/fixtures/streams", env!("CARGO_MANIFEST_DIR"));
    let there = std::fs::read_dir(dir).expect("fixtures").count();
    assert_eq!(there, table().len(), "each fixture is in the table");
}

#[test]
fn the_same_is_read_however_the_bytes_are_split() {
    for row in table() {
        let bytes = bytes(row.name);
        let mut whole = Reader::new(row.format);
        let mut events = whole.push(&bytes);
        events.extend(whole.finish());
        for size in [1, 2, 7, 64, 4_096] {
            let mut split = Reader::new(row.format);
            let mut again: Vec<Event> = bytes.chunks(size).flat_map(|c| split.push(c)).collect();
            again.extend(split.finish());
            assert_eq!(events, again, "{} in pieces of {size}", row.name);
            assert_eq!(whole.summary, split.summary, "{} in pieces of {size}", row.name);
        }
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_never_taken_for_a_success() {
    for row in table().into_iter().filter(|r| r.format.must_say()) {
        let bytes = bytes(row.name);
        let mut reader = Reader::new(row.format);
        let mut over = false;
        for (n, byte) in bytes.iter().enumerate() {
            // The end of the program's own end is the first place at which it may count as well.
            over = over || matches!(reader.summary.terminal, Some(Terminal::Fine));
            let mut cut = reader.clone();
            cut.finish();
            let whole = bytes[n..].iter().all(|b| b.is_ascii_whitespace());
            if !over && !whole && cut.judge(Exit::Code(0)).is_ok() {
                // An event without its line's end counts if nothing of it is missing.
                let line = bytes[..n].rsplit(|b| *b == b'\n').next().unwrap_or_default();
                let whole = serde_json::from_slice::<Value>(line).is_ok();
                assert!(whole, "{} cut at byte {n} of {}", row.name, bytes.len());
            }
            reader.push(&[*byte]);
        }
    }
}

#[test]
fn what_nobody_knows_changes_nothing() {
    let strangers: [&[u8]; 14] = [
        b"{\"type\":\"telemetry\",\"usage\":{\"input_tokens\":9}}",
        b"{\"type\":7}",
        b"{\"type\":null,\"is_error\":true}",
        b"{}",
        b"[1,2]",
        b"\"result\"",
        b"null",
        b"{\"type\":\"system\",\"subtype\":\"hook\"}",
        b"{\"type\":\"item.completed\"}",
        b"{\"type\":\"assistant\",\"message\":{\"content\":\"no list\",\"usage\":\"many\"}}",
        b"(node:12) Warning: something is deprecated",
        b"\xff\xfe\x80 not text",
        b"   \r",
        b"{\"type\":\"resu",
    ];
    for row in table().into_iter().filter(|r| r.format != Format::Plain) {
        let bytes = bytes(row.name);
        let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect();
        for stranger in strangers {
            let mut torn = Vec::new();
            for line in &lines {
                torn.extend_from_slice(stranger);
                torn.push(b'\n');
                torn.extend_from_slice(line);
                torn.extend_from_slice(b"\r\n");
            }
            row.check(&read(row.format, &torn), &String::from_utf8_lossy(stranger));
        }
    }
}

#[test]
fn words_of_another_stream_may_stand_in_the_same_line() {
    for row in table().into_iter().filter(|r| r.format != Format::Plain) {
        let bytes = bytes(row.name);
        let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).collect();
        let glued: Vec<u8> = lines.iter().flat_map(|l| [b"npm warn {old} ", *l, b"\n"].concat()).collect();
        row.check(&read(row.format, &glued), "with words before each event");
        let joined: Vec<u8> = lines.concat();
        row.check(&read(row.format, &joined), "without an end of line");
        let after: Vec<u8> = lines.iter().flat_map(|l| [*l, b" trailing words\n"].concat()).collect();
        row.check(&read(row.format, &after), "with words after each event");
    }
}

#[test]
fn bytes_that_are_no_text_spoil_no_more_than_their_character() {
    for row in table() {
        let text = String::from_utf8(bytes(row.name)).expect("the fixtures are text");
        let spoilt: Vec<u8> = text
            .replace("Hello from", "Hel\u{1}lo from")
            .bytes()
            .map(|b| if b == 1 { 0xC3 } else { b })
            .collect();
        row.check(&read(row.format, &spoilt), "with a broken character");
    }
}

#[test]
fn lines_of_ten_megabytes_are_read() {
    let long = "x".repeat(10 << 20);
    let of = |format: Format| {
        let word = serde_json::to_string(&long).expect("a string");
        match format {
            Format::ClaudeStreamJson => {
                format!(
                    r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","content":{word}}}]}}}}"#
                )
            }
            Format::CodexJson => format!(
                r#"{{"type":"item.completed","item":{{"type":"command_execution","aggregated_output":{word}}}}}"#
            ),
            Format::GeminiStreamJson => format!(r#"{{"type":"tool_result","output":{word}}}"#),
            Format::OpencodeJson => {
                format!(r#"{{"type":"tool_use","part":{{"tool":"read","state":{{"output":{word}}}}}}}"#)
            }
            Format::CopilotJson => {
                format!(r#"{{"type":"tool.execution_complete","data":{{"result":{{"content":{word}}}}}}}"#)
            }
            Format::CoderabbitJson => format!(r#"{{"type":"finding","message":{word}}}"#),
            Format::Plain => long.clone(),
        }
    };
    let picked = [
        "claude-tool",
        "codex-json-tool",
        "gemini-stream-tool",
        "opencode-json-tool",
        "copilot-tool",
        "coderabbit-review",
    ];
    for row in table().into_iter().filter(|r| picked.contains(&r.name)) {
        let bytes = bytes(row.name);
        let first = bytes.iter().position(|b| *b == b'\n').expect("a line") + 1;
        let line = of(row.format);
        let mut reader = Reader::new(row.format);
        let mut events = reader.push(&bytes[..first]);
        for piece in line.as_bytes().chunks(64 << 10) {
            events.extend(reader.push(piece));
        }
        events.extend(reader.push(b"\n"));
        events.extend(reader.push(&bytes[first..]));
        row.check(&reader, "with a line of ten megabytes");
        let read = |e: &Event| e.text.starts_with("xxx") && e.kind != Kind::Output;
        assert!(events.iter().any(read), "{}: the long line is an event", row.name);
        assert!(events.iter().all(|e| e.text.chars().count() <= event::TEXT_MAX + 1));
    }
}

#[test]
fn a_line_without_an_end_takes_a_bounded_room() {
    let mut reader = Reader::new(Format::ClaudeStreamJson);
    for _ in 0..80 {
        reader.push(&vec![b'x'; 1 << 20]);
    }
    assert_eq!(reader.line.len(), LINE_MAX);
    reader.push(b"\n{\"type\":\"result\",\"is_error\":false,\"result\":\"done\"}");
    reader.finish();
    assert!(reader.judge(Exit::Code(0)).is_ok());
    assert_eq!(reader.summary.last_event.as_deref(), Some("done"));
}

#[test]
fn a_session_that_is_taken_up_again_counts_only_what_came_on_top() {
    let first = read(Format::CodexJson, &bytes("codex-json-tool"));
    let before = |session: &str| {
        Some(Before { session: session.to_owned(), total: first.summary.total.expect("codex tells a total") })
    };
    let mut again = Reader::new(Format::CodexJson).resuming(before("01a1f818-22c3-7e82-81a7-062b637c18fa"));
    again.push(&bytes("codex-resume"));
    assert_eq!((again.summary.usage.input_tokens, again.summary.usage.output_tokens), (1000, 50));
    assert_eq!(again.summary.usage.cached_tokens, 400);
    assert_eq!(again.summary.total.map(|t| t.input_tokens), Some(3000), "the next one subtracts this");
    // It began another thread after all: nothing was used in that before.
    let mut other = Reader::new(Format::CodexJson).resuming(before("01a1f818-0000-0000-0000-000000000000"));
    other.push(&bytes("codex-resume"));
    assert_eq!(other.summary.usage.input_tokens, 3000);
}

#[test]
fn what_a_program_uses_is_known_while_it_works() {
    let bytes = bytes("claude-tool");
    let end = bytes.windows(15).position(|w| w == br#"{"type":"result"#).expect("a result");
    let running = read(Format::ClaudeStreamJson, &bytes[..end]).summary;
    assert_eq!((running.usage.input_tokens, running.turns), (840, 2), "the same message is counted once");
    assert!(running.terminal.is_none());
}

#[test]
fn a_time_to_ask_again_is_taken_from_what_is_said() {
    let wait = |format, name: &str| read(format, &bytes(name)).summary.again;
    let second = Some(Again::After(std::time::Duration::from_secs(1)));
    assert_eq!(wait(Format::OpencodeJson, "opencode-fail429"), second);
    assert_eq!(wait(Format::ClaudeStreamJson, "claude-final429"), None);
    let mut reader = Reader::new(Format::CodexJson);
    let said = "You've hit your usage limit. Try again in 2 hours 5 minutes.";
    reader.push(format!("{{\"type\":\"turn.failed\",\"error\":{{\"message\":\"{said}\"}}}}\n").as_bytes());
    assert_eq!(reader.judge(Exit::Code(1)).unwrap_err().0, EndClass::Quota);
    assert_eq!(reader.summary.again, Some(Again::After(std::time::Duration::from_secs(7_500))));
}

#[test]
fn a_session_id_is_never_an_option() {
    for bad in ["--yolo", "a b", "$(x)", "../x/y", ""] {
        let mut reader = Reader::new(Format::CodexJson);
        reader.push(format!("{{\"type\":\"thread.started\",\"thread_id\":\"{bad}\"}}\n").as_bytes());
        assert_eq!(reader.summary.session, None, "{bad}");
    }
}

#[test]
fn an_end_that_was_followed_by_more_work_is_no_end() {
    let mut reader = read(Format::CodexJson, &bytes("codex-json"));
    assert!(reader.judge(Exit::Code(0)).is_ok());
    reader.push(b"{\"type\":\"turn.started\"}\n");
    assert_eq!(reader.judge(Exit::Code(0)).unwrap_err().0, EndClass::Failed);
}

#[test]
fn exit_codes_without_words() {
    let plain = Reader::new(Format::Plain);
    assert!(plain.judge(Exit::Code(0)).is_ok());
    for (exit, class) in [
        (Exit::Code(1), EndClass::Failed),
        (Exit::Code(127), EndClass::Crashed),
        (Exit::Code(137), EndClass::Crashed),
        (Exit::OutOfMemory, EndClass::Crashed),
        (Exit::Lost, EndClass::Lost),
    ] {
        assert_eq!(plain.judge(exit).expect_err("no success").0, class, "{exit:?}");
    }
    let fine = read(Format::ClaudeStreamJson, &bytes("claude-text"));
    assert_eq!(fine.judge(Exit::Code(1)).expect_err("the code counts too").0, EndClass::Failed);
}

#[test]
fn what_is_said_stays_on_the_board() {
    let last = |format, name: &str| read(format, &bytes(name)).summary.last_event;
    for (format, name) in [
        (Format::GeminiStreamJson, "gemini-stream-tool"),
        (Format::CodexJson, "codex-json-tool"),
        (Format::OpencodeJson, "opencode-json-tool"),
        (Format::ClaudeStreamJson, "claude-tool"),
    ] {
        assert_eq!(last(format, name).as_deref(), Some("Hello from the fake model."), "{name}");
    }
}
