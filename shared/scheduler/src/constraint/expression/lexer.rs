//! From text to tokens.
//!
//! The parser pulls tokens one by one, because two places are read in their own way: a `!` before a
//! test stands alone, while in `!=` it is part of an operator; and a pattern without quotes may hold
//! parentheses and bars.

/// Bytes of the text, from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind<'t>,
    pub(super) span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind<'t> {
    End,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    /// `&&`, `||`, and runs of `&` and `|` that mean nothing.
    Connective(&'t str),
    /// A run of `=`, `!`, `<`, `>` and `~`.
    Symbols(&'t str),
    Word(&'t str),
    /// What stands between a pair of quotes; nothing is escaped there.
    Quoted(&'t str),
    UnclosedQuote,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Lexer<'t> {
        Lexer { text, rest: text }
    }

    pub(super) fn peek(&self) -> Token<'t> {
        let mut ahead = *self;
        ahead.next()
    }

    /// Takes the next token; at the end of the text this is `End`, again and again.
    pub(super) fn next(&mut self) -> Token<'t> {
        self.skip_whitespace();
        let start = self.position();
        let kind = match self.rest.chars().next() {
            None => TokenKind::End,
            Some('(') => self.single(TokenKind::Open),
            Some(')') => self.single(TokenKind::Close),
            Some('[') => self.single(TokenKind::OpenList),
            Some(']') => self.single(TokenKind::CloseList),
            Some(',') => self.single(TokenKind::Comma),
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            Some('&' | '|') => TokenKind::Connective(self.take_while(|c| matches!(c, '&' | '|'))),
            Some('=' | '!' | '<' | '>' | '~') => TokenKind::Symbols(self.take_while(is_symbol)),
            Some(_) => TokenKind::Word(self.take_while(|c| !ends_word(c))),
        };
        self.token(kind, start)
    }

    /// Takes a `!` that stands before a test and returns where it stood.
    pub(super) fn take_exclamation_mark(&mut self) -> Option<Span> {
        self.skip_whitespace();
        let start = self.position();
        self.rest = self.rest.strip_prefix('!')?;
        Some(Span {
            start,
            end: self.position(),
        })
    }

    /// Takes a pattern: in quotes, or up to white space, a quote, `&&`, `||` or a `)` that the pattern
    /// did not open. Backslashes and character classes are respected, so `\(` and `[)]` open and close
    /// nothing.
    pub(super) fn next_pattern(&mut self) -> Token<'t> {
        self.skip_whitespace();
        if self.rest.starts_with(['\'', '"']) {
            return self.next();
        }
        let start = self.position();
        let end = bare_pattern_end(self.rest);
        if end == 0 {
            return self.next();
        }
        let pattern = self.take(end);
        self.token(TokenKind::Word(pattern), start)
    }

    fn position(&self) -> usize {
        self.text.len().saturating_sub(self.rest.len())
    }

    fn token(&self, kind: TokenKind<'t>, start: usize) -> Token<'t> {
        Token {
            kind,
            span: Span {
                start,
                end: self.position(),
            },
        }
    }

    fn skip_whitespace(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn single(&mut self, kind: TokenKind<'t>) -> TokenKind<'t> {
        self.take(1);
        kind
    }

    fn quoted(&mut self, quote: char) -> TokenKind<'t> {
        self.take(1);
        let Some((inside, rest)) = self.rest.split_once(quote) else {
            self.rest = "";
            return TokenKind::UnclosedQuote;
        };
        self.rest = rest;
        TokenKind::Quoted(inside)
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !accepts(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

/// Whether `text` is read back as one word where a value is expected.
pub(super) fn is_bare_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(ends_word)
}

fn ends_word(c: char) -> bool {
    let is_common = c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    !is_common
        && (c.is_whitespace()
            || is_symbol(c)
            || matches!(c, '(' | ')' | '[' | ']' | ',' | '\'' | '"' | '&' | '|'))
}

fn is_symbol(c: char) -> bool {
    matches!(c, '=' | '!' | '<' | '>' | '~')
}

fn bare_pattern_end(rest: &str) -> usize {
    let mut open_groups = 0_usize;
    let mut in_class = false;
    let mut escaped = false;
    let mut previous = '\0';
    for (position, c) in rest.char_indices() {
        if c.is_whitespace() || matches!(c, '\'' | '"') {
            return position;
        }
        if escaped {
            escaped = false;
            previous = '\0';
            continue;
        }
        match c {
            '\\' => escaped = true,
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => open_groups = open_groups.saturating_add(1),
            ')' if open_groups == 0 => return position,
            ')' => open_groups = open_groups.saturating_sub(1),
            '&' | '|' if open_groups == 0 && previous == c => return position.saturating_sub(1),
            _ => {}
        }
        previous = if in_class { '\0' } else { c };
    }
    rest.len()
}
