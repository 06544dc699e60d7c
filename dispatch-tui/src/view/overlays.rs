//! Every layer above the board at three sizes, and how it looks in a dark and a light theme.

use insta::assert_snapshot;
use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};

use super::fixture::{board, cells, press, screen, typed};
use crate::model::Model;
use crate::theme::{Background, Depth, Look, Theme};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

type Reach = fn(&mut Model);

/// How each layer is reached.
const LAYERS: [(&str, Reach); 14] = [
    ("palette", |m| {
        press(m, ":");
        typed(m, "re");
    }),
    ("filter_words", |m| {
        m.saved.insert("mine".into(), "agent:kai".into());
        press(m, "/");
        typed(m, "p");
    }),
    ("filter_label", |m| drop(press(m, "/ S-Tab"))),
    ("priority", |m| drop(press(m, "p"))),
    ("labels", |m| drop(press(m, "t"))),
    ("start", |m| drop(press(m, "h s"))),
    ("copy", |m| drop(press(m, "y"))),
    ("options", |m| drop(press(m, "V"))),
    ("colours", |m| drop(press(m, "V t"))),
    ("bulk_kill", |m| drop(press(m, "* x"))),
    ("kill_all", |m| {
        press(m, ":");
        typed(m, "kill all");
        press(m, "Enter");
    }),
    ("comment", |m| drop(press(m, "i"))),
    ("marks_by_lane_compact", |m| drop(press(m, "V e V c j Space Space v j"))),
    ("quit_with_a_draft", |m| {
        press(m, "a");
        typed(m, "half");
        press(m, "Esc q");
    }),
];

fn dressed(at: (u16, u16), look: Look, layer: Reach) -> Model {
    let mut model = board(at.0, at.1);
    model.theme = Theme::default().dressed(look, Background::Unknown, Depth::True);
    layer(&mut model);
    model
}

#[test]
fn every_layer_at_every_size() {
    for (name, layer) in LAYERS {
        for (columns, rows) in SIZES {
            let mut model = board(columns, rows);
            layer(&mut model);
            assert_snapshot!(format!("layer_{name}_{columns}"), screen(&model));
        }
    }
}

#[test]
fn no_look_changes_a_word_so_that_no_meaning_hangs_on_colour() {
    for (name, layer) in LAYERS {
        let plain = screen(&dressed((120, 40), Look::Mono, layer));
        for look in Look::ALL {
            assert_eq!(screen(&dressed((120, 40), look, layer)), plain, "{name} in {look:?}");
        }
    }
}

#[test]
fn a_layer_has_a_bar_and_its_choice_is_reversed_in_every_look() {
    for (name, layer) in LAYERS.into_iter().filter(|(name, _)| !name.starts_with("marks")) {
        for look in Look::ALL {
            let buffer = cells(&dressed((80, 24), look, layer));
            let rows: Vec<&[Cell]> = buffer.content.chunks(80).collect();
            let reversed =
                |row: &[Cell]| row.iter().filter(|c| c.modifier.contains(Modifier::REVERSED)).count();
            assert!(
                rows.iter().any(|row| reversed(row) == 80),
                "{name} in {look:?} has no bar over its whole width"
            );
        }
    }
}

/// The first cell of `needle` on the screen.
fn cell_of(model: &Model, needle: &str) -> Cell {
    let buffer = cells(model);
    let width = usize::from(buffer.area.width);
    for row in buffer.content.chunks(width) {
        let text: String = row.iter().map(Cell::symbol).collect();
        if let Some(at) = text.find(needle) {
            return row[text[..at].chars().count()].clone();
        }
    }
    panic!("`{needle}` is not on the screen:\n{}", screen(model));
}

#[test]
fn dark_and_light_have_their_own_colours_and_sixteen_are_enough() {
    let board = |look, depth| {
        let mut model = board(120, 40);
        model.theme = Theme::default().dressed(look, Background::Unknown, depth);
        model
    };
    let failed = |look, depth| cell_of(&board(look, depth), "✗ #371").fg;
    assert_eq!(failed(Look::Dark, Depth::True), Color::Rgb(0xff, 0x6b, 0x68));
    assert_eq!(failed(Look::Light, Depth::True), Color::Rgb(0xb0, 0, 0x20));
    assert_eq!(failed(Look::Dark, Depth::Sixteen), Color::Red);
    assert_eq!(failed(Look::Light, Depth::Sixteen), Color::Red);
    assert_eq!(failed(Look::Mono, Depth::True), Color::Reset);
    let bold = |look| cell_of(&board(look, Depth::True), "✗ #371").modifier.contains(Modifier::BOLD);
    assert!(Look::ALL.into_iter().all(bold), "what failed is bold in every look");
    let running = cell_of(&board(Look::ColourBlind, Depth::True), "▸ #377").fg;
    assert_eq!(running, Color::Rgb(0x56, 0xb4, 0xe9));
}

#[test]
fn what_is_marked_has_a_sign_and_not_only_a_colour() {
    let mut model = board(120, 40);
    press(&mut model, "j Space");
    assert!(cell_of(&model, "*#377").modifier.contains(Modifier::UNDERLINED));
    assert!(screen(&model).contains("1 marked"));
    press(&mut model, "3 Space");
    assert!(screen(&model).lines().any(|l| l.starts_with('*')), "{}", screen(&model));
}
