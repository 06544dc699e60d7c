//! The pictures in `assets/screens`: frames of the fixture, as SVG. They are frozen: what they show is what the board shows.
//! `DISPATCH_REFREEZE=1 cargo test -p dispatch-tui --lib pictures` draws them anew.

use std::fmt::Write as _;
use std::path::Path;

use dispatch_shared::id::RunId;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::fixture::{board, cells, press, send};
use crate::model::log::Kind;
use crate::model::{Model, text};
use crate::update::What;
use crate::update::answers::Answer;

/// A cell's width and height in the picture.
const CELL: (f32, f32) = (8.4, 18.0);
const MARGIN: f32 = 12.0;
const GROUND: &str = "#16181d";
const TEXT: &str = "#d5d8de";

fn colour(colour: Color, default: &'static str) -> &'static str {
    match colour {
        Color::Red => "#f0717b",
        Color::Green => "#8fce7e",
        Color::Yellow => "#e6c46c",
        Color::Blue => "#79a8f2",
        Color::Magenta => "#cf95e6",
        Color::Cyan => "#67c7d6",
        _ => default,
    }
}

/// The colours that a cell is seen in: of the ground, of the text; and whether it is bold, dim, underlined.
fn look(cell: &Cell) -> (&'static str, &'static str, Modifier) {
    let (ground, text) = (colour(cell.bg, GROUND), colour(cell.fg, TEXT));
    let shown = cell.modifier & (Modifier::BOLD | Modifier::DIM | Modifier::UNDERLINED);
    if cell.modifier.contains(Modifier::REVERSED) { (text, ground, shown) } else { (ground, text, shown) }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn svg(buffer: &Buffer) -> String {
    let (columns, rows) = (buffer.area.width, buffer.area.height);
    let width = f32::from(columns) * CELL.0 + 2.0 * MARGIN;
    let height = f32::from(rows) * CELL.1 + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\" font-size=\"14\" xml:space=\"preserve\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n"
    );
    for (y, row) in buffer.content.chunks(usize::from(columns)).enumerate() {
        let top = MARGIN + y as f32 * CELL.1;
        let mut x = 0;
        while x < row.len() {
            let seen = look(&row[x]);
            let end = (x..row.len()).find(|at| look(&row[*at]) != seen).unwrap_or(row.len());
            let said: String = row[x..end].iter().map(Cell::symbol).collect();
            let left = MARGIN + x as f32 * CELL.0;
            let wide = (end - x) as f32 * CELL.0;
            let (ground, ink, how) = seen;
            if ground != GROUND {
                let _ = writeln!(
                    out,
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{}\" fill=\"{ground}\"/>",
                    CELL.1
                );
            }
            // Spaces at the ends move nothing and are left out.
            let bare = said.trim_start_matches(' ');
            let left = left + text::width(&said[..said.len() - bare.len()]) as f32 * CELL.0;
            let bare = bare.trim_end_matches(' ');
            if !bare.is_empty() {
                let bold = if how.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
                let dim = if how.contains(Modifier::DIM) { " opacity=\"0.6\"" } else { "" };
                let line =
                    if how.contains(Modifier::UNDERLINED) { " text-decoration=\"underline\"" } else { "" };
                let long = text::width(bare) as f32 * CELL.0;
                let base = top + 13.5;
                let _ = writeln!(
                    out,
                    "<text x=\"{left:.1}\" y=\"{base:.1}\" fill=\"{ink}\" textLength=\"{long:.1}\" lengthAdjust=\"spacingAndGlyphs\"{bold}{dim}{line}>{}</text>",
                    escape(bare)
                );
            }
            x = end;
        }
    }
    out.push_str("</svg>\n");
    out
}

fn frozen(name: &str, model: &Model) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/screens").join(format!("{name}.svg"));
    let drawn = svg(&cells(model));
    if std::env::var_os("DISPATCH_REFREEZE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, drawn).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == drawn,
        "{} is not what the board shows now; `DISPATCH_REFREEZE=1 cargo test -p dispatch-tui --lib pictures` draws it anew",
        path.display()
    );
}

#[test]
fn the_board() {
    frozen("board", &board(120, 34));
}

#[test]
fn the_problems() {
    let mut model = board(110, 26);
    press(&mut model, "2");
    frozen("problems", &model);
}

#[test]
fn a_run() {
    let mut model = board(110, 22);
    press(&mut model, "j e");
    let event = |at: &str, kind: &str, said: &str| {
        format!(
            "{{\"at\":\"2026-11-20T{at}.000Z\",\"kind\":\"{kind}\",\"text\":{}}}\n",
            serde_json::json!(said)
        )
    };
    let log = [
        event("14:02:11", "text", "Lookups hit the store on every request; adding a cache."),
        event("14:02:40", "tool", "edit src/policy/cache.rs"),
        event("14:03:02", "tool", "bash cargo test -p policy"),
        event("14:03:48", "error", "test cache::evicts_oldest ... FAILED\nleft: 3, right: 2"),
        event("14:04:20", "text", "The oldest entry is the one read longest ago, not the one written first."),
        event("14:04:31", "tool", "edit src/policy/cache.rs"),
        event("14:05:02", "tool", "bash cargo test -p policy"),
        event("14:05:40", "tool-result", "test result: ok. 41 passed"),
        event("14:05:41", "output", "\u{1b}]52;c;aGk=\u{7} is shown, not obeyed"),
    ];
    let bytes = log.concat().into_bytes();
    send(&mut model, What::Done(Answer::Log { run: RunId(2041), kind: Kind::Events, offset: 0, bytes }));
    frozen("run", &model);
}
