package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.conversation.reply.ReplyForm;
import panamoe.data.ByteTokenizer;
import panamoe.data.TinyTokenizer;
import tools.jackson.databind.node.ObjectNode;

/** A small schema with many ways to read a text is read in few steps. */
@Timeout(value = 60, threadMode = ThreadMode.SEPARATE_THREAD)
class SchemaBombTest {
  private static final CallMarkup HERMES = ReplyForm.HERMES.calls(new ByteTokenizer());
  private static final int LEVELS = 20;

  @ParameterizedTest
  @ValueSource(strings = {"anyOf", "oneOf"})
  void equalReferencesAreOneWay(String keyword) {
    ObjectNode schema =
        tower(
            level -> {
              ObjectNode node = object();
              for (int i = 0; i < 10; i++) {
                node.withArray(keyword).addObject().put("$ref", "#/$defs/d" + (level - 1));
              }
              return node;
            });
    JsonGrammar grammar = JsonGrammar.of(schema);
    JsonGrammar one = JsonGrammar.of(object().put("type", "integer"));
    assertEquals(one.start().stacks().length, grammar.start().stacks().length);
    assertTrue(grammar.accepts("17".getBytes(UTF_8)));
  }

  @Test
  void equalAlternativesAreOneState() {
    ObjectNode schema =
        tower(
            level -> {
              ObjectNode node = object();
              for (int i = 0; i < 10; i++) {
                ObjectNode list = node.withArray("anyOf").addObject().put("title", "list " + i);
                list.put("type", "array").withObject("items").put("title", "item " + i);
                list.withObject("items").put("$ref", "#/$defs/d" + (level - 1));
              }
              return node;
            });
    State state = JsonGrammar.of(schema).start();
    for (int level = LEVELS; level > 0; level--) {
      state = state.step('[');
      assertTrue(state.stacks().length <= 4, "an end, a list, or a beginning of an integer");
    }
    assertTrue(state.accepts(("17" + "]".repeat(LEVELS)).getBytes(UTF_8)));
  }

  /** Ways that meet again: few stacks, but 2^20 ways to come to them. */
  @Test
  void differentReferencesThatMeetAreFollowedOnce() {
    ObjectNode schema =
        tower(
            level -> {
              ObjectNode node = object();
              for (int i = 1; i <= Math.min(level, 10); i++) {
                node.withArray("anyOf").addObject().put("$ref", "#/$defs/d" + (level - i));
              }
              return node;
            });
    assertTrue(JsonGrammar.of(schema).accepts("17".getBytes(UTF_8)));
  }

  @Test
  void aLongChainOfReferencesFitsOnASmallStack() throws InterruptedException {
    ObjectNode schema = object().put("type", "array");
    schema.withObject("items").put("$ref", "#/$defs/d0");
    int links = 1600; // of three parts each
    for (int i = 0; i < links; i++) {
      ObjectNode link = schema.withObject("/$defs/d" + i);
      link.withArray("anyOf").addObject().put("type", "null");
      link.withArray("anyOf").addObject().put("$ref", "#/$defs/d" + (i + 1));
    }
    schema.withObject("/$defs/d" + links).put("type", "integer");
    boolean[] accepted = new boolean[1];
    Runnable read = () -> accepted[0] = JsonGrammar.of(schema).accepts("[null, 3]".getBytes(UTF_8));
    Thread thread = new Thread(null, read, "small", 256 << 10);
    thread.start();
    thread.join();
    assertTrue(accepted[0]);
  }

  @Test
  void anInterruptionEndsIt() {
    ObjectNode schema = object().put("type", "string").put("pattern", "^[ab]*a[ab]{9}$");
    Thread.currentThread().interrupt();
    assertThrows(CancellationException.class, () -> JsonGrammar.of(schema));
    assertTrue(Thread.interrupted());
    JsonGrammar.of(schema);
  }

  @Test
  void functionsShareABudget() {
    ObjectNode schema = object().put("type", "object");
    schema.withObject("/properties/a").put("pattern", "^[ab]*a[ab]{13}$");
    CallGrammar.of(HERMES, Map.of("a", schema), false);
    assertThrows(
        IllegalArgumentException.class,
        () ->
            CallGrammar.of(
                HERMES,
                Map.of("a", schema, "b", schema, "c", schema, "d", schema, "e", schema),
                false));
  }

  /** A schema of levels, each made of those below it. */
  private static ObjectNode tower(IntFunction<ObjectNode> level) {
    ObjectNode schema = object().put("$ref", "#/$defs/d" + LEVELS);
    schema.withObject("/$defs/d0").put("type", "integer");
    for (int i = 1; i <= LEVELS; i++) {
      schema.withObject("/$defs").set("d" + i, level.apply(i));
    }
    return schema;
  }

  private static ObjectNode object() {
    return TinyTokenizer.MAPPER.createObjectNode();
  }
}
