//! Streams that real programs put out, and what must be read from them.

use super::*;

fn read(format: Format, name: &str) -> Reader {
    let path = format!("{}/../tests/fixtures/streams/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).expect("the fixture is there");
    let mut whole = Reader::new(format);
    let mut events = whole.push(&bytes);
    events.extend(whole.finish());
    // However the bytes are cut, the same comes out.
    let mut cut = Reader::new(format);
    let mut again: Vec<Event> = bytes.chunks(7).flat_map(|c| cut.push(c)).collect();
    again.extend(cut.finish());
    assert_eq!(events, again, "{name}");
    assert_eq!(whole.summary, cut.summary, "{name}");
    whole
}

#[test]
fn every_recorded_stream_is_judged() {
    use Format::{
        ClaudeStreamJson as Claude, CodexJson as Codex, GeminiStreamJson as Gemini, OpencodeJson as Opencode,
    };
    let table = [
        (Claude, "claude-text", 0, None),
        (Claude, "claude-tool", 0, None),
        (Claude, "claude-resume", 0, None),
        (Claude, "claude-budget", 1, Some(EndClass::Budget)),
        (Claude, "claude-maxturns", 1, Some(EndClass::Turns)),
        (Claude, "claude-final401", 1, Some(EndClass::Auth)),
        (Claude, "claude-final429", 1, Some(EndClass::RateLimited)),
        (Claude, "claude-final529", 1, Some(EndClass::RateLimited)),
        (Claude, "claude-sigINT", 0, Some(EndClass::Failed)),
        (Claude, "qwen-stream-tool", 0, None),
        (Claude, "qwen-fail401", 0, Some(EndClass::Auth)),
        (Codex, "codex-json", 0, None),
        (Codex, "codex-json-tool", 0, None),
        (Codex, "codex-resume", 0, None),
        (Codex, "codex-fail401", 1, Some(EndClass::Auth)),
        (Codex, "codex-fail429", 1, Some(EndClass::RateLimited)),
        (Codex, "codex-fail500", 1, Some(EndClass::RateLimited)),
        (Gemini, "gemini-stream-tool", 0, None),
        (Gemini, "gemini-fail401", 145, Some(EndClass::Auth)),
        (Gemini, "gemini-fail429", 173, Some(EndClass::RateLimited)),
        (Opencode, "opencode-json", 0, None),
        (Opencode, "opencode-json-tool", 0, None),
        (Opencode, "opencode-fail429", 1, Some(EndClass::RateLimited)),
    ];
    for (format, name, code, class) in table {
        let judged = read(format, name).judge(Exit::Code(code));
        assert_eq!(judged.as_ref().err().map(|(c, _)| *c), class, "{name}: {judged:?}");
    }
    let dir = format!("{}/../tests/fixtures/streams", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(
        std::fs::read_dir(dir).expect("fixtures").count(),
        table.len(),
        "each fixture is in the table"
    );
}

#[test]
fn totals_are_the_programs_own() {
    let claude = read(Format::ClaudeStreamJson, "claude-tool").summary;
    assert_eq!((claude.usage.input_tokens, claude.usage.output_tokens), (840, 24));
    assert_eq!(claude.usage.cost_usd, Some(0.00215));
    let budget = read(Format::ClaudeStreamJson, "claude-budget").summary;
    assert!(budget.usage.output_tokens > 0, "taken from modelUsage: {:?}", budget.usage);
    let codex = read(Format::CodexJson, "codex-json-tool").summary;
    assert_eq!((codex.usage.input_tokens, codex.usage.output_tokens), (2000, 100));
    let opencode = read(Format::OpencodeJson, "opencode-json-tool").summary;
    assert_eq!((opencode.usage.input_tokens, opencode.usage.output_tokens), (2000, 80));
    let gemini = read(Format::GeminiStreamJson, "gemini-stream-tool").summary;
    assert_eq!((gemini.usage.input_tokens, gemini.usage.output_tokens), (2000, 100));
    assert_eq!(gemini.last_event.as_deref(), Some("Hello from the fake model."));
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
    let fine = read(Format::ClaudeStreamJson, "claude-text");
    assert_eq!(fine.judge(Exit::Code(1)).expect_err("the code counts too").0, EndClass::Failed);
}

#[test]
fn garbage_and_endless_lines_do_no_harm() {
    let mut reader = Reader::new(Format::ClaudeStreamJson);
    let mut events = reader.push(b"\xff\xfe not json\n[1,2]\n{\"type\":7}\n{\"type\":\"assistant\"}\n\n");
    for _ in 0..10 {
        events.extend(reader.push(&vec![b'x'; 1 << 20]));
    }
    events.extend(reader.push(b"\n{\"type\":\"result\",\"is_error\":false,\"result\":\"done\"}"));
    events.extend(reader.finish());
    assert!(reader.judge(Exit::Code(0)).is_ok());
    assert_eq!(reader.summary.last_event.as_deref(), Some("done"));
    assert!(events.iter().all(|e| e.text.chars().count() <= TEXT_MAX + 1));
    assert_eq!(events.iter().filter(|e| e.kind == Kind::Output).count(), 3, "{:?}", events.len());
}
