//! Products by the names that people use for them.

use super::{Facing, Product, all};

/// Names offered for one that is not known.
const MOST_SUGGESTIONS: usize = 4;

/// The product of that name, whatever its case and with `_` or a blank for `-`: `Node`, `aws_alb`.
pub fn find(name: &str) -> Option<&'static Product> {
    let name = normal(name);
    all().iter().find(|product| names(product).any(|known| normal(known) == name))
}

/// The product of that name that plays this part on a connection: as a client, `go` is the Transport. None where the name
/// is not known, or is that of a product that has no such connections.
pub fn find_facing(name: &str, side: Facing) -> Option<&'static Product> {
    let wanted = normal(name);
    let client = || {
        let called = |product: &&Product| product.as_client.iter().any(|known| normal(known) == wanted);
        all().iter().find(called).filter(|_| side == Facing::Upstream)
    };
    client().or_else(|| find(name).filter(|product| product.may_face(side)))
}

/// The names most like one that is not known, best first; none if nothing comes close.
pub fn suggestions(name: &str) -> Vec<&'static str> {
    let name = normal(name);
    if name.len() < 2 {
        return Vec::new();
    }
    let mut near: Vec<(usize, &'static str)> = Vec::new();
    for product in all() {
        let best = names(product).filter_map(|known| distance(&name, &normal(known))).min();
        near.extend(best.map(|distance| (distance, product.id.as_str())));
    }
    near.sort_by_key(|(distance, _)| *distance);
    near.truncate(MOST_SUGGESTIONS);
    near.into_iter().map(|(_, id)| id).collect()
}

fn names(product: &'static Product) -> impl Iterator<Item = &'static str> {
    [product.id.as_str()].into_iter().chain(product.aliases.iter().map(String::as_str))
}

fn normal(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(['_', ' '], "-")
}

/// How far apart two names are: 0 when one holds the other, otherwise their edit distance if it is at most a third of
/// the longer one.
fn distance(asked: &str, known: &str) -> Option<usize> {
    if asked.len() >= 3 && (known.contains(asked) || (known.len() >= 3 && asked.contains(known))) {
        return Some(0);
    }
    let distance = edits(asked, known);
    (distance <= asked.len().max(known.len()).div_ceil(3)).then_some(distance)
}

/// Letters to insert, remove or replace (Levenshtein), one row of the table at a time.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_ask_by_many_names() {
        for (asked, id) in [
            ("node-http", "node-http"),
            ("Node.js", "node-http"),
            ("alb", "aws-alb"),
            ("AWS_ALB", "aws-alb"),
            ("httpd", "apache-httpd"),
            ("flask", "werkzeug"),
            ("net/http", "go-http-server"),
            ("spring boot", "tomcat-embedded"),
        ] {
            assert_eq!(find(asked).map(|product| product.id.as_str()), Some(id), "{asked}");
        }
        assert!(find("netscape").is_none() && find("").is_none());
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        assert_eq!(suggestions("gunicron").first(), Some(&"gunicorn"));
        assert_eq!(suggestions("expres").first(), Some(&"express"));
        assert_eq!(suggestions("ngnix").first(), Some(&"nginx"));
        assert!(suggestions("azure").contains(&"azure-lb"));
        assert!(suggestions("zzzzzzzz").is_empty());
        assert!(suggestions("").is_empty());
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("nginx", "nginx"), 0);
    }
}
