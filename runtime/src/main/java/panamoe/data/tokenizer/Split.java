package panamoe.data.tokenizer;

import java.util.function.BooleanSupplier;
import panamoe.data.regex.Matcher;
import panamoe.data.regex.Regex;
import tools.jackson.databind.JsonNode;

/**
 * Splits a text into pieces by a pattern.
 *
 * @param inverted whether matches and the text between them swap roles
 */
record Split(Regex pattern, Behavior behavior, boolean inverted) implements PreTokenizer.Stage {

  /** How a match is treated. */
  enum Behavior {
    /** The match is dropped. */
    REMOVED,
    /** The match is a separate piece. */
    ISOLATED,
    /** The match is appended to the text before it, unless that is a match too. */
    MERGED_WITH_PREVIOUS,
    /** The match is prepended to the text after it, unless that is a match too. */
    MERGED_WITH_NEXT,
    /** Adjacent matches form one piece. */
    CONTIGUOUS
  }

  /** Receives the non-empty pieces of a text in order. */
  interface Sink {
    void piece(char[] text, int from, int to);
  }

  static Split of(JsonNode part, Source source) {
    Regex pattern = pattern(part.path("pattern"), "splits by", source);
    Behavior behavior =
        switch (part.path("behavior").asString("")) {
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

  /**
   * The pattern of a split or another part.
   *
   * @param does what the part does, for messages
   */
  static Regex pattern(JsonNode given, String does, Source source) {
    boolean regex = given.has("Regex");
    JsonNode text = given.path(regex ? "Regex" : "String");
    if (!text.isString() || text.stringValue().isEmpty()) {
      throw source.trouble(
          "%s the pattern %s, expected a Regex or String of one character or more",
          does, Source.shown(given));
    }
    try {
      return regex ? Regex.compile(text.stringValue()) : Regex.literal(text.stringValue());
    } catch (IllegalArgumentException e) {
      throw source.trouble(
          does + " the pattern " + Source.shown(text.stringValue()) + ": " + e.getMessage());
    }
  }

  @Override
  public Sink into(Sink sink, BooleanSupplier beginsText) {
    return into(sink);
  }

  /** Returns a sink that splits texts and passes the pieces on; not thread-safe. */
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

    /** The unfinished piece, and whether its last part is a match. */
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
