package panamoe.conversation.reply;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.data.ByteTokenizer;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallGrammar;

/** Replies of each family with its released template: thoughts, content and calls. */
class ReplyFormTest {
  @ParameterizedTest
  @EnumSource(ReplyFamily.class)
  void theFormIsTheTemplates(ReplyFamily family) {
    assertEquals(family.form, ReplyForm.of(family.template(), family.tokenizer));
  }

  /** For all splits into pieces, which never split a special token. */
  @ParameterizedTest
  @EnumSource(ReplyFamily.class)
  void everySplitIsReadAlike(ReplyFamily family) {
    String text =
        family.marked(
            "Let me see. "
                + (family == ReplyFamily.GPT_OSS
                    ? "<|channel|>final<|message|>I say: <|end|><|start|>assistant"
                    : "")
                + family.calls);
    List<String> units = units(text);
    String whole = read(family, List.of(text));
    assertTrue(
        whole.contains("vote " + ReplyFamily.AYES)
            && whole.contains(family == ReplyFamily.GPT_OSS ? "I say: " : "Let me see. "),
        whole);
    assertEquals(whole, read(family, units));
    for (int cut = 1; cut < units.size(); cut++) {
      assertEquals(
          whole,
          read(
              family,
              List.of(
                  String.join("", units.subList(0, cut)),
                  String.join("", units.subList(cut, units.size())))),
          "cut at " + cut);
    }
  }

  /** The tag is a special token; Llama 3.2 writes none. */
  @Test
  void llamasTagIsNoContent() {
    ReplyFamily family = ReplyFamily.LLAMA_WITH_THE_TAG;
    String read =
        read(family, units(family.marked("<|python_tag|>" + family.calls + "<|eom_id|>")));
    assertEquals("//|vote " + ReplyFamily.AYES, read);
  }

  /** Characters, and special tokens. */
  private static List<String> units(String text) {
    List<String> units = new ArrayList<>();
    for (int at = 0; at < text.length(); ) {
      int end = Markers.next(text, at) == at ? Markers.end(text, at) : at + 1;
      units.add(text.substring(at, end));
      at = end;
    }
    return units;
  }

  private static String read(ReplyFamily family, List<String> pieces) {
    Reply reply = family.reply();
    StringBuilder content = new StringBuilder();
    StringBuilder reasoning = new StringBuilder();
    StringBuilder calls = new StringBuilder();
    List<Reply.Read> reads = new ArrayList<>();
    pieces.forEach(piece -> reads.add(reply.next(piece)));
    reads.add(reply.end(false));
    for (Reply.Read read : reads) {
      content.append(read.content());
      reasoning.append(read.reasoning());
      for (FunctionCall.Piece call : read.calls()) {
        calls.append(call.id() == null ? "" : "|" + call.name() + " ").append(call.arguments());
      }
    }
    assertTrue(reply.called());
    return reasoning + "/" + content + "/" + calls;
  }

  @ParameterizedTest
  @EnumSource(ReplyFamily.class)
  void aTextThatIsCutEndsWithNoPieceOfACall(ReplyFamily family) {
    String before =
        family == ReplyFamily.GPT_OSS
            ? "<|channel|>final<|message|>I say: <|end|><|start|>assistant"
            : "I say: ";
    List<String> units = units(family.marked(before + family.calls));
    for (int cut = 0; cut <= units.size(); cut++) {
      Reply reply = family.reply();
      units.subList(0, cut).forEach(reply::next);
      reply.end(true);
      assertTrue("I say: ".startsWith(reply.content()), reply::content);
    }
    Reply thinking = ReplyForm.HERMES.reply(new ByteTokenizer(), true, false, Map.of());
    assertEquals("Hm.", thinking.next("<think>Hm. </thi").reasoning());
    assertEquals("", thinking.end(true).reasoning());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '`',
      value = {
        "@channel@analysis@message@Hm.@end@@start@assistant@channel@final@message@Aye.;Hm.;Aye.",
        "@channel@final@message@Aye.@return@;;Aye.",
        "@channel@commentary@message@I ask.@end@@start@assistant@channel@final@message@Aye.;;I"
            + " ask.~Aye.",
        "@channel@analysis@message@a@end@@start@assistant@channel@analysis@message@b;a~b;",
        "@channel@commentary to=functions.f @constrain@json@message@{};;{}",
        "Aye.;;Aye.",
        "<|channel|>final<|message|>no;;<|channel|>final<|message|>no",
        "@channel@fin;;",
        "@channel@final@message@Aye.@end@@start@assistant;;Aye.",
        "@channel@final@message@a <|end|> b;;a <|end|> b"
      })
  void harmonyWithoutCalls(String text, String reasoning, String content) {
    String marked = text;
    for (String name : new String[] {"channel", "message", "end", "start", "return", "constrain"}) {
      marked = marked.replace("@" + name + "@", Markers.of("<|" + name + "|>"));
    }
    for (List<String> pieces : List.of(List.of(marked), units(marked))) {
      Reply reply = harmony(false);
      pieces.forEach(reply::next);
      reply.end(false);
      assertEquals(reasoning == null ? "" : reasoning.replace('~', '\n'), reply.reasoning());
      assertEquals(content == null ? "" : content.replace('~', '\n'), reply.content());
    }
  }

  private static Reply harmony(boolean calling) {
    return ReplyForm.HARMONY.reply(
        ReplyFamily.GPT_OSS.tokenizer, true, false, calling ? ReplyFamily.FUNCTIONS : Map.of());
  }

  @ParameterizedTest
  @CsvSource({"{}, {}, true", "{, {}, false", "{}, {, false"})
  void harmonysCallsAreMadeIfAllAreWhole(String first, String second, boolean made) {
    Reply reader = harmony(true);
    for (String arguments : List.of(first, second)) {
      reader.next(Markers.of("<|channel|>") + "commentary to=functions.vote ");
      reader.next(Markers.of("<|message|>") + arguments + Markers.of("<|call|>"));
      reader.next(Markers.of("<|start|>") + "assistant");
    }
    reader.end(false);
    assertEquals(made, reader.called());
  }

  @Test
  void whatTheGrammarTakesIsWhatTheReaderReads() {
    for (ReplyFamily family : ReplyFamily.values()) {
      CallGrammar grammar =
          CallGrammar.of(family.form.calls(family.tokenizer), ReplyFamily.FUNCTIONS, true);
      assertTrue(
          grammar.accepts(bytes(family.tokenizer, family.tokens(family.calls))), family::name);
      assertNotEquals(
          true, grammar.accepts(bytes(family.tokenizer, family.tokens("x" + family.calls))));
    }
  }

  private static byte[] bytes(Tokenizer tokenizer, int[] tokens) {
    byte[] all = {};
    for (int token : tokens) {
      byte[] more = Markers.bytes(tokenizer, token);
      all = Arrays.copyOf(all, all.length + more.length);
      System.arraycopy(more, 0, all, all.length - more.length, more.length);
    }
    return all;
  }
}
