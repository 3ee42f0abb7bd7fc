package panamoe.grammar;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.networknt.schema.InputFormat;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.data.ByteTokenizer;
import panamoe.data.JsonTokenizer;
import panamoe.data.TinyTokenizer;
import panamoe.data.Tokenizer;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What random models write by random schemas is JSON that another implementation of JSON Schema
 * finds valid, and so is whatever else a grammar accepts.
 */
class RandomTextsTest {
  private static final SchemaRegistry JUDGE =
      SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);
  private static final JsonMapper PARSER = JsonMapper.shared();

  @TempDir Path folder;

  @Test
  void ofBytes() {
    writes(new ByteTokenizer(), 1, 150);
  }

  @Test
  void ofPieces() {
    Random random = new Random(2);
    writes(new PieceTokenizer(random, 800), 3, 150);
  }

  @Test
  void ofBytePairs() throws IOException {
    Path file = folder.resolve("tokenizer.json");
    Files.write(file, TinyTokenizer.MAPPER.writeValueAsBytes(TinyTokenizer.json()));
    writes(JsonTokenizer.load(file), 4, 100);
  }

  private static void writes(Tokenizer tokenizer, long seed, int schemas) {
    Random random = new Random(seed);
    RandomWriter writer = new RandomWriter(tokenizer, random, 60);
    TokenMasks masks = TokenMasks.of(tokenizer);
    int ended = 0;
    int mutants = 0;
    for (int i = 0; i < schemas; i++) {
      ObjectNode schema = new RandomSchemas(random).next();
      JsonGrammar grammar = grammar(schema);
      for (int text = 0; grammar != null && text < 5; text++) {
        byte[] written = writer.write(grammar.constraint(masks).get());
        if (written != null) {
          ended++;
          assertTrue(grammar.accepts(written), () -> new String(written, UTF_8));
          assertEquals("", trouble(schema, written), () -> schema + "\n" + text(written));
          mutants += mutants(grammar, schema, written, random);
        }
      }
    }
    assertTrue(ended > 2 * schemas, ended + " texts of " + schemas + " schemas");
    assertTrue(mutants > schemas, mutants + " mutants were accepted");
  }

  /** Texts that differ in a few bytes from one that is valid; returns how many are accepted. */
  private static int mutants(JsonGrammar grammar, ObjectNode schema, byte[] text, Random random) {
    int accepted = 0;
    for (int i = 0; i < 60; i++) {
      byte[] mutant = mutant(text, random);
      if (grammar.accepts(mutant)) {
        accepted++;
        assertEquals("", trouble(schema, mutant), () -> schema + "\n" + text(mutant));
      }
    }
    return accepted;
  }

  private static byte[] mutant(byte[] text, Random random) {
    int from = random.nextInt(text.length);
    int to = Math.min(text.length, from + random.nextInt(3));
    byte[] middle = new byte[random.nextInt(3)];
    for (int i = 0; i < middle.length; i++) {
      middle[i] =
          random.nextInt(4) == 0 ? (byte) random.nextInt(256) : text[random.nextInt(text.length)];
    }
    byte[] mutant = Arrays.copyOf(text, from + middle.length + text.length - to);
    System.arraycopy(middle, 0, mutant, from, middle.length);
    System.arraycopy(text, to, mutant, from + middle.length, text.length - to);
    return mutant;
  }

  /** Null if the schema allows no text. */
  private static JsonGrammar grammar(ObjectNode schema) {
    try {
      return JsonGrammar.of(schema);
    } catch (IllegalArgumentException e) {
      String message = e.getMessage();
      assertTrue(
          message.endsWith("allows no text that comes to an end")
              || message.endsWith("is itself, by references alone"),
          message);
      return null;
    }
  }

  /** Why a text is not valid; empty if it is. */
  private static String trouble(ObjectNode schema, byte[] text) {
    try {
      String decoded = UTF_8.newDecoder().decode(ByteBuffer.wrap(text)).toString();
      assertFalse(PARSER.readTree(decoded).isMissingNode());
      return String.join(
          "; ",
          JUDGE.getSchema(schema.toString()).validate(decoded, InputFormat.JSON).stream()
              .map(Object::toString)
              .toList());
    } catch (CharacterCodingException e) {
      return "not UTF-8";
    } catch (JacksonException e) {
      return e.getMessage();
    }
  }

  private static String text(byte[] bytes) {
    return new String(bytes, UTF_8);
  }
}
