package panamoe.data.tokenizer;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import panamoe.data.regex.CodeSet;
import panamoe.data.regex.CodeSets;
import panamoe.data.regex.Matcher;
import panamoe.data.regex.Regex;
import tools.jackson.databind.JsonNode;

/**
 * Changes a text before it is split, step after step. Unicode normalisation forms are those of this
 * JDK's tables; a run of more than {@value #MAX_MARKS} combining marks is normalised in parts,
 * because sorting a run takes quadratic time.
 *
 * @param keepsAscii whether every step leaves ASCII as it is
 */
record TextNormalizer(List<UnaryOperator<String>> steps, boolean keepsAscii) {
  static final TextNormalizer NONE = new TextNormalizer(List.of(), true);
  private static final CodeSet MARKS = CodeSets.property("M");
  private static final int MAX_MARKS = 256;
  private static final int MAX_PARTS = 10;

  /** Replacements may together make a text this many times as long. */
  private static final int MAX_GROWTH = 64;

  static TextNormalizer of(JsonNode part, Source source) {
    Reader reader = new Reader(source);
    reader.collect(part);
    return new TextNormalizer(reader.steps, reader.keepsAscii);
  }

  private static final class Reader {
    private final Source source;
    private final List<UnaryOperator<String>> steps = new ArrayList<>();
    private boolean keepsAscii = true;
    private long growth = 1;

    Reader(Source source) {
      this.source = source;
    }

    void collect(JsonNode part) {
      if (part.isMissingNode() || part.isNull()) {
        return;
      }
      if (steps.size() > MAX_PARTS) {
        throw source.trouble("has more than " + MAX_PARTS + " normalizers");
      }
      switch (source.type(part, "normalizer")) {
        case "NFC" -> add(Normalizer.Form.NFC);
        case "NFD" -> add(Normalizer.Form.NFD);
        case "NFKC" -> add(Normalizer.Form.NFKC);
        case "NFKD" -> add(Normalizer.Form.NFKD);
        case "Prepend" -> {
          String prefix = content(part.path("prepend"));
          add(text -> text.isEmpty() ? text : prefix + text);
        }
        case "Replace" -> {
          Regex pattern = Split.pattern(part.path("pattern"), "replaces", source);
          String content = content(part.path("content"));
          growth *= Math.max(1, content.length());
          add(text -> replaced(text, pattern.matcher(), content));
        }
        case "Strip" -> {
          boolean left = source.flag(part.path("strip_left"), "strip_left", true);
          boolean right = source.flag(part.path("strip_right"), "strip_right", true);
          add(text -> stripped(text, left, right));
        }
        case "Precompiled" -> add(CharsMap.of(part, source));
        case "Sequence" ->
            source.list(part.path("normalizers"), "normalizers", MAX_PARTS).forEach(this::collect);
        default ->
            throw source.unsupported(
                "normalizer",
                part.path("type"),
                "NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip, Precompiled or a Sequence of them");
      }
      if (growth > MAX_GROWTH) {
        throw source.trouble("has normalizers that make a text too long");
      }
    }

    private String content(JsonNode given) {
      if (!given.isString()
          || given.stringValue().length() > MAX_GROWTH
          || given.stringValue().codePoints().anyMatch(TextNormalizer::isSurrogate)) {
        throw source.trouble(
            "has a normalizer that writes %s, expected a text of at most %s characters",
            Source.shown(given), MAX_GROWTH);
      }
      return given.stringValue();
    }

    private void add(Normalizer.Form form) {
      steps.add(text -> TextNormalizer.apply(form, text));
    }

    private void add(UnaryOperator<String> step) {
      steps.add(step);
      keepsAscii = false;
    }
  }

  private static boolean isSurrogate(int point) {
    return Character.getType(point) == Character.SURROGATE;
  }

  private static String replaced(String text, Matcher matcher, String content) {
    char[] chars = text.toCharArray();
    matcher.reset(chars, 0, chars.length);
    StringBuilder result = new StringBuilder(chars.length);
    int done = 0;
    while (matcher.find()) {
      result.append(chars, done, matcher.start() - done).append(content);
      done = matcher.end();
    }
    return done == 0 && result.isEmpty()
        ? text
        : result.append(chars, done, chars.length - done).toString();
  }

  private static String stripped(String text, boolean left, boolean right) {
    int from = 0;
    int to = text.length();
    while (left && from < to && CodeSets.SPACE.contains(text.charAt(from))) {
      from++;
    }
    while (right && from < to && CodeSets.SPACE.contains(text.charAt(to - 1))) {
      to--;
    }
    return text.substring(from, to);
  }

  /** False if the text is known to be normalised. */
  boolean changes(char[] text, int from, int to) {
    for (int at = from; at < to && keepsAscii && !steps.isEmpty(); at++) {
      if (text[at] >= 0x80) {
        return true;
      }
    }
    return !keepsAscii;
  }

  /**
   * @param text without lone surrogates
   */
  String apply(String text) {
    String result = text;
    for (UnaryOperator<String> step : steps) {
      result = step.apply(result);
    }
    return result;
  }

  private static String apply(Normalizer.Form form, String text) {
    StringBuilder parts = new StringBuilder();
    int begin = 0;
    int marks = 0;
    int length;
    for (int at = 0; at < text.length(); at += length) {
      int point = text.codePointAt(at);
      length = Character.charCount(point);
      marks = point >= 0x300 && MARKS.contains(point) ? marks + 1 : 0;
      if (marks > MAX_MARKS) {
        parts.append(Normalizer.normalize(text.substring(begin, at), form));
        begin = at;
        marks = 1;
      }
    }
    String last = Normalizer.normalize(text.substring(begin), form);
    return begin == 0 ? last : parts.append(last).toString();
  }
}
