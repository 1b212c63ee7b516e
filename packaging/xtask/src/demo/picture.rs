//! The story as an SVG: monospaced text on a dark window, nothing else.

use std::fmt::Write as _;

use super::transcript::Line;

/// The longest line (characters); a longer one is continued below.
const COLUMNS: usize = 100;
/// Of a character, and of a line (pixels).
const CHARACTER: usize = 8;
const LINE: usize = 19;
const MARGIN: usize = 20;
/// The bar above, with the buttons of a window.
const BAR: usize = 34;

/// Draws the lines.
pub fn draw(lines: &[Line]) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let mut was_sentence = false;
    for line in lines {
        let (class, text) = match line {
            Line::Sentence(text) => ("s", text.clone()),
            Line::Command(text) => ("c", format!("$ {text}")),
            Line::Output(text) => ("o", format!("  {text}")),
        };
        let is_sentence = class == "s";
        if is_sentence && !was_sentence && !rows.is_empty() {
            rows.push(("o", String::new()));
        }
        was_sentence = is_sentence;
        rows.extend(folded(&text).into_iter().map(|text| (class, text)));
    }
    let width = COLUMNS * CHARACTER + 2 * MARGIN;
    let height = BAR + rows.len() * LINE + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"The terminal of cargo xtask demo\">\n\
         <style>text{{font:13.3px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
         white-space:pre}}.s{{fill:#e6b450}}.c{{fill:#ffffff;font-weight:bold}}.o{{fill:#b8c0cc}}\
         .p{{fill:#7fd962}}.m{{fill:#59c2ff}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#10141c\"/>\n"
    );
    for (n, colour) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
        let x = MARGIN + n * 20;
        _ = writeln!(
            svg,
            "<circle cx=\"{x}\" cy=\"17\" r=\"6\" fill=\"{colour}\"/>"
        );
    }
    for (n, (class, text)) in rows.iter().enumerate() {
        if text.is_empty() {
            continue;
        }
        let y = BAR + n * LINE + 14;
        let text = match (*class, text.strip_prefix("$ ")) {
            ("c", Some(rest)) => format!("<tspan class=\"p\">$</tspan> {}", escaped(rest)),
            _ => with_masks(text),
        };
        _ = writeln!(
            svg,
            "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">{text}</text>"
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The commands of a picture.
pub fn commands(svg: &str) -> Vec<String> {
    let lines = svg.lines();
    let of = lines.filter_map(|line| line.split_once("<tspan class=\"p\">$</tspan> "));
    of.map(|(_, rest)| {
        let text = rest.split("</text>").next().unwrap_or_default();
        let text = text.replace("&lt;", "<").replace("&gt;", ">");
        text.replace("&amp;", "&")
    })
    .collect()
}

fn folded(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    if characters.is_empty() {
        return vec![String::new()];
    }
    let mut lines = Vec::new();
    let mut rest = &characters[..];
    while !rest.is_empty() {
        let indent = if lines.is_empty() { "" } else { "    " };
        let room = rest.len().min(COLUMNS - indent.len());
        let space = rest.iter().take(room).rposition(|c| *c == ' ');
        // A word that is longer than half a line is cut.
        let end = match space {
            Some(space) if room < rest.len() && space > COLUMNS / 2 => space + 1,
            _ => room,
        };
        let (now, later) = rest.split_at(end);
        lines.push(format!("{indent}{}", now.iter().collect::<String>()));
        rest = later;
    }
    lines
}

/// The text with its masks in another colour.
fn with_masks(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[secret ") {
        let (mask, behind) = after.split_once(']').unwrap_or((after, ""));
        shown.push_str(&escaped(before));
        _ = write!(
            shown,
            "<tspan class=\"m\">[secret {}]</tspan>",
            escaped(mask)
        );
        rest = behind;
    }
    shown + &escaped(rest)
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_a_picture_are_read_back() {
        let lines = [
            Line::Sentence("a > b".to_owned()),
            Line::Command("mcpwrap x < y && z".to_owned()),
            Line::Output("$ [secret a …1234] <".to_owned()),
        ];
        let svg = draw(&lines);
        assert_eq!(commands(&svg), ["mcpwrap x < y && z"]);
        assert!(svg.contains("<tspan class=\"m\">[secret a …1234]</tspan> &lt;"));
        assert!(!svg.contains("a > b"));
    }

    #[test]
    fn a_long_line_is_continued() {
        let lines = folded(&"x".repeat(COLUMNS + 3));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], "    xxx");
        let words = format!("{} yy zzzz", "x".repeat(COLUMNS - 5));
        assert_eq!(folded(&words)[1], "    zzzz");
    }
}
