package panamoe.data.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Pattern;
import panamoe.io.IntList;

/**
 * Byte-pair encoding over the characters of a piece.
 *
 * @param characters the tokens of single characters
 * @param bytes the tokens of bytes, which spell unknown characters; null for none
 * @param unknown the token of unknown characters, without byte fallback
 * @param fusesUnknown whether consecutive unknown characters become one such token
 * @param wholeWords pieces that become one token without merging; empty unless the file sets it
 * @param keepsWords whether no token has a {@code ▁} after another character, so that no merge
 *     crosses the beginning of a word
 */
record CharacterModel(
    Merges merges,
    Map<Integer, Integer> characters,
    int[] bytes,
    int unknown,
    boolean fusesUnknown,
    Map<String, Integer> wholeWords,
    boolean keepsWords)
    implements Model {
  private static final Pattern ACROSS_WORDS =
      Pattern.compile("[^" + TokenDecoder.SPACE + "]" + TokenDecoder.SPACE);

  static CharacterModel of(TokenizerJson json, Vocabulary vocabulary, TokenDecoder decoder) {
    int[] bytes = Model.fallback(json, vocabulary, decoder);
    Integer unknown = json.vocabulary.get(json.model("unk_token").asString(""));
    if (bytes == null && unknown == null) {
      throw json.source.trouble(
          "has neither byte_fallback nor an unk_token, so not every text can be encoded");
    }
    Map<Integer, Integer> characters = new HashMap<>();
    vocabulary
        .ofModel()
        .forEach(
            (name, token) -> {
              if (name.codePointCount(0, name.length()) == 1) {
                characters.put(name.codePointAt(0), token);
              }
            });
    return new CharacterModel(
        Merges.of(json, vocabulary),
        characters,
        bytes,
        bytes == null ? unknown : -1,
        json.flag("fuse_unk"),
        json.flag("ignore_merges") ? vocabulary.ofModel() : Map.of(),
        vocabulary.ofModel().keySet().stream().noneMatch(ACROSS_WORDS.asPredicate()));
  }

  @Override
  public Split.Sink words(Split.Sink sink) {
    if (!keepsWords || bytes == null || !wholeWords.isEmpty()) {
      return sink;
    }
    return (text, from, to) -> {
      int begin = from;
      for (int at = from + 1; at < to; at++) {
        if (text[at] == TokenDecoder.SPACE && text[at - 1] != TokenDecoder.SPACE) {
          sink.piece(text, begin, at);
          begin = at;
        }
      }
      sink.piece(text, begin, to);
    };
  }

  @Override
  public Encoder encoder() {
    return new CharacterEncoder();
  }

  private final class CharacterEncoder implements Encoder {
    private final Merger merger = new Merger(merges);

    @Override
    public void encode(char[] text, int from, int to, IntList result) {
      Integer whole =
          wholeWords.isEmpty() ? null : wholeWords.get(new String(text, from, to - from));
      if (whole != null) {
        result.add(whole);
        return;
      }
      IntList first = new IntList(to - from + 1);
      int width;
      for (int at = from; at < to; at += width) {
        int point = Character.codePointAt(text, at, to);
        width = Character.charCount(point);
        Integer token = characters.get(point);
        if (token != null) {
          first.add(token);
        } else if (bytes != null) {
          spell(text, at, at + width, bytes, first);
        } else if (!fusesUnknown || !first.endsWith(unknown)) {
          first.add(unknown);
        }
      }
      first.copyTo(merger.room(first.size()));
      merger.merge(first.size(), result);
    }
  }

  /** Adds the tokens of the bytes of a text. */
  static void spell(char[] text, int from, int to, int[] bytes, IntList result) {
    for (byte each : new String(text, from, to - from).getBytes(StandardCharsets.UTF_8)) {
      result.add(bytes[each & 0xff]);
    }
  }
}
