package panamoe.data.bpe;

import com.fasterxml.jackson.databind.JsonNode;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;

/**
 * Applies Unicode normalisation forms, one after the other, by this JDK's tables. A run of more
 * than {@value #MAX_MARKS} combining marks is normalised in parts, because sorting a run takes
 * quadratic time.
 */
record TextNormalizer(List<Normalizer.Form> forms) {
  private static final int MAX_MARKS = 256;
  private static final int MAX_PARTS = 10;

  static TextNormalizer of(JsonNode part, Source source) {
    List<Normalizer.Form> forms = new ArrayList<>();
    collect(part, source, forms);
    return new TextNormalizer(forms);
  }

  private static void collect(JsonNode part, Source source, List<Normalizer.Form> forms) {
    if (part.isMissingNode() || part.isNull()) {
      return;
    }
    if (forms.size() > MAX_PARTS) {
      throw source.trouble("has more than " + MAX_PARTS + " normalizers");
    }
    switch (source.type(part, "normalizer")) {
      case "NFC" -> forms.add(Normalizer.Form.NFC);
      case "NFD" -> forms.add(Normalizer.Form.NFD);
      case "NFKC" -> forms.add(Normalizer.Form.NFKC);
      case "NFKD" -> forms.add(Normalizer.Form.NFKD);
      case "Sequence" ->
          source
              .list(part.path("normalizers"), "normalizers", MAX_PARTS)
              .forEach(each -> collect(each, source, forms));
      default ->
          throw source.unsupported(
              "normalizer", part.path("type"), "NFC, NFD, NFKC, NFKD or a Sequence of them");
    }
  }

  /** False if the text is known to be normalised. */
  boolean changes(char[] text, int from, int to) {
    for (int at = from; at < to && !forms.isEmpty(); at++) {
      if (text[at] >= 0x80) {
        return true;
      }
    }
    return false;
  }

  /**
   * @param text without lone surrogates
   */
  String apply(String text) {
    String result = text;
    for (Normalizer.Form form : forms) {
      result = apply(form, result);
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
      marks = point >= 0x300 && isMark(point) ? marks + 1 : 0;
      if (marks > MAX_MARKS) {
        parts.append(Normalizer.normalize(text.substring(begin, at), form));
        begin = at;
        marks = 1;
      }
    }
    String last = Normalizer.normalize(text.substring(begin), form);
    return begin == 0 ? last : parts.append(last).toString();
  }

  private static boolean isMark(int point) {
    int type = Character.getType(point);
    return type == Character.NON_SPACING_MARK
        || type == Character.COMBINING_SPACING_MARK
        || type == Character.ENCLOSING_MARK;
  }
}
