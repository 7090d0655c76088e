//! Where a character of a text stands in the YAML that the text is written in.

/// The place of the character at `line` and `column` of a text whose scalar begins at `begin`; all count from 1. `None` where
/// the scalar's style does not let it be told: folded over several lines, an escape that stands for others.
pub(super) fn place(yaml: &str, begin: (u64, u64), (line, column): (u64, u64)) -> Option<(u64, u64)> {
    let lines: Vec<&str> = yaml.lines().collect();
    let (row, before) = (index(begin.0)?, index(begin.1)?);
    let steps = index(column)?;
    let scalar: String = lines.get(row)?.chars().skip(before).collect();
    match block_head(&lines, row, before) {
        Some((head, '|')) => {
            let row = head + usize::try_from(line).ok()?;
            let within = lines.get(row)?.chars().count().checked_sub(before)?;
            return (steps <= within).then_some((row as u64 + 1, begin.1 + steps as u64));
        }
        Some(_) => return None,
        None if line > 1 => return None,
        None => {}
    }
    match scalar.chars().next()? {
        quote @ ('\'' | '"') => {
            Some((begin.0, begin.1 + 1 + in_quotes(quote, scalar.get(1..)?.chars(), steps)? as u64))
        }
        _ => (steps <= scalar.chars().count()).then_some((begin.0, begin.1 + steps as u64)),
    }
}

fn index(from_one: u64) -> Option<usize> {
    usize::try_from(from_one.checked_sub(1)?).ok()
}

/// The line and the kind of a block's head, `|` or `>`, where the scalar that begins here is a block: it begins at its first
/// character, with nothing but empty lines between.
fn block_head(lines: &[&str], row: usize, before: usize) -> Option<(usize, char)> {
    if lines.get(row)?.chars().take(before).any(|c| c != ' ') {
        return None;
    }
    let head = (0..row).rev().find(|row| lines.get(*row).is_some_and(|line| !line.trim().is_empty()))?;
    let written = lines.get(head)?.split(" #").next()?;
    let style = written.split_whitespace().last()?;
    let kind = style.chars().next().filter(|kind| matches!(kind, '|' | '>'))?;
    style[1..].chars().all(|c| matches!(c, '-' | '+' | '0'..='9')).then_some((head, kind))
}

/// How many characters are written for the first `steps` of a quoted text.
fn in_quotes(quote: char, written: impl Iterator<Item = char>, steps: usize) -> Option<usize> {
    let mut written = written.peekable();
    let mut count = 0;
    for _ in 0..steps {
        let length = match (quote, written.next()?) {
            ('"', '\\') => match written.next()? {
                'x' | 'u' | 'U' => return None,
                _ => 2,
            },
            ('\'', '\'') if written.next_if_eq(&'\'').is_some() => 2,
            (_, c) if c == quote => return None,
            _ => 1,
        };
        count += length;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::place;

    /// The character that is found for a place within the text, with what follows it on its line.
    fn found(yaml: &str, begin: (u64, u64), within: (u64, u64)) -> Option<String> {
        let (line, column) = place(yaml, begin, within)?;
        let line = yaml.lines().nth(usize::try_from(line).unwrap() - 1).unwrap();
        Some(line.chars().skip(usize::try_from(column).unwrap() - 1).take(3).collect())
    }

    #[test]
    fn a_character_is_found_in_each_style_that_tells() {
        assert_eq!(found("a: é == x  # y", (1, 4), (1, 6)).unwrap(), "x  ");
        assert_eq!(found("a: 'it''s x'", (1, 4), (1, 6)).unwrap(), "x'");
        assert_eq!(found(r#"a: "b\"c\t x""#, (1, 4), (1, 6)).unwrap(), "x\"");
        assert_eq!(found("a: |-\n\n    one\n      two\nb: c", (3, 5), (3, 3)).unwrap(), "two");
        assert_eq!(found("a: |2+ # b\n    one\n  two", (2, 3), (1, 4)).unwrap(), "ne");
        assert_eq!(found("a:\n  one", (2, 3), (1, 2)).unwrap(), "ne");
        // The end of a text is a place too.
        assert_eq!(place("a: xy", (1, 4), (1, 3)), Some((1, 6)));
        assert_eq!(place("a: 'xy'", (1, 4), (1, 3)), Some((1, 7)));
    }

    #[test]
    fn where_the_style_does_not_tell_no_place_is_given() {
        assert_eq!(place("a: >-\n  one\n  two", (2, 3), (1, 2)), None);
        assert_eq!(place("a: one\n  two", (1, 4), (1, 6)), None);
        assert_eq!(place("a: 'one\n  two'", (1, 4), (1, 6)), None);
        assert_eq!(place(r#"a: "\u00e9 x""#, (1, 4), (1, 3)), None);
        assert_eq!(place("a: |\n  one", (2, 3), (2, 1)), None);
        assert_eq!(place("a: |\n  one", (2, 3), (1, 5)), None);
        assert_eq!(place("", (1, 1), (1, 1)), None);
    }
}
