package panamoe.data.bpe;

import com.fasterxml.jackson.databind.JsonNode;
import panamoe.data.regex.Matcher;
import panamoe.data.regex.Regex;
import panamoe.data.regex.UnsupportedPatternException;

/**
 * Splits a text into pieces by a pattern.
 *
 * @param inverted whether what lies between the pattern's matches is taken for matches, and the
 *     other way round
 */
record Split(Regex pattern, Behavior behavior, boolean inverted) {

  /** What becomes of a match. */
  enum Behavior {
    /** It is no piece, and lost. */
    REMOVED,
    /** It is a piece of its own. */
    ISOLATED,
    /** It belongs to what was before it, unless this is a match as well. */
    MERGED_WITH_PREVIOUS,
    /** It belongs to what comes after it, unless this is a match as well. */
    MERGED_WITH_NEXT,
    /** Matches side by side are one piece. */
    CONTIGUOUS
  }

  /** Takes the pieces of a text in their order; none is empty. */
  interface Sink {
    void piece(char[] text, int from, int to);
  }

  static Split of(JsonNode part, Source source) {
    JsonNode given = part.path("pattern");
    JsonNode text = given.has("Regex") ? given.path("Regex") : given.path("String");
    if (!text.isTextual() || text.textValue().isEmpty()) {
      throw source.trouble(
          "splits by the pattern "
              + Source.shown(given)
              + ", expected a Regex or String of one character or more");
    }
    Regex pattern = pattern(text.textValue(), given.has("Regex"), source);
    Behavior behavior =
        switch (part.path("behavior").asText()) {
          case "Removed", "removed" -> Behavior.REMOVED;
          case "Isolated", "isolated" -> Behavior.ISOLATED;
          case "MergedWithPrevious", "merged_with_previous" -> Behavior.MERGED_WITH_PREVIOUS;
          case "MergedWithNext", "merged_with_next" -> Behavior.MERGED_WITH_NEXT;
          case "Contiguous", "contiguous" -> Behavior.CONTIGUOUS;
          default ->
              throw source.unsupported(
                  "behavior",
                  part.path("behavior"),
                  "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
        };
    return new Split(pattern, behavior, source.flag(part.path("invert"), "invert", false));
  }

  private static Regex pattern(String text, boolean isRegex, Source source) {
    try {
      return isRegex ? Regex.compile(text) : Regex.literal(text);
    } catch (UnsupportedPatternException e) {
      throw source.trouble("splits by the pattern " + Source.shown(text) + ": " + e.getMessage());
    }
  }

  /** The splitting itself, into a sink; not thread-safe. */
  Sink into(Sink sink) {
    return new Splitting(pattern.matcher(), sink);
  }

  private boolean joins(boolean matchBefore, boolean match) {
    return switch (behavior) {
      case REMOVED, ISOLATED -> false;
      case MERGED_WITH_PREVIOUS -> match && !matchBefore;
      case MERGED_WITH_NEXT -> matchBefore && !match;
      case CONTIGUOUS -> match == matchBefore;
    };
  }

  private final class Splitting implements Sink {
    private final Matcher matcher;
    private final Sink sink;

    /** The piece that is not finished, and whether its last part is a match. */
    private char[] text;

    private int begin;
    private int end;
    private boolean match;

    Splitting(Matcher matcher, Sink sink) {
      this.matcher = matcher;
      this.sink = sink;
    }

    @Override
    public void piece(char[] newText, int from, int to) {
      text = newText;
      begin = from;
      end = from;
      match = false;
      matcher.reset(newText, from, to);
      while (matcher.find()) {
        if (matcher.start() > end) {
          add(matcher.start(), inverted);
        }
        add(matcher.end(), !inverted);
      }
      if (to > end) {
        add(to, inverted);
      }
      flush();
    }

    private void add(int newEnd, boolean isMatch) {
      if (begin < end && !joins(match, isMatch)) {
        flush();
      }
      end = newEnd;
      match = isMatch;
    }

    private void flush() {
      if (begin < end && !(match && behavior == Behavior.REMOVED)) {
        sink.piece(text, begin, end);
      }
      begin = end;
    }
  }
}
