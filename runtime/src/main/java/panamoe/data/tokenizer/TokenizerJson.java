package panamoe.data.tokenizer;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import panamoe.data.DataException;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.MissingNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The content of a {@code tokenizer.json}, or of a GGUF file's metadata put in this form.
 * Vocabulary and merges, nearly all of the file, are parsed as a stream; the small rest stays JSON.
 */
final class TokenizerJson {
  static final int MAX_TOKENS = 4_000_000;
  static final int MAX_MERGES = 4_000_000;

  final Source source;
  final Map<String, Integer> vocabulary = new HashMap<>();

  /** The two halves of each merge, alternating. */
  final List<String> merges = new ArrayList<>();

  /** Scores by token, where the vocabulary has them; empty otherwise. */
  final List<Double> scores = new ArrayList<>();

  private final Map<String, JsonNode> model = new LinkedHashMap<>();
  private final Map<String, JsonNode> parts = new LinkedHashMap<>();

  TokenizerJson(Source source) {
    this.source = source;
  }

  /**
   * @throws DataException if the file is not JSON, or its vocabulary or merges are malformed
   */
  static TokenizerJson read(byte[] json, String file) {
    TokenizerJson result = new TokenizerJson(new Source(file));
    try (JsonParser parser = StrictJson.parser(new ByteArrayInputStream(json))) {
      result.readRoot(parser);
    } catch (JacksonException e) {
      throw new DataException(file + " is not valid JSON: " + StrictJson.reason(e), e);
    }
    return result;
  }

  /** The content of the file; merges that follow from scores are listed. */
  byte[] write() {
    ObjectNode root = JsonNodeFactory.instance.objectNode().put("version", "1.0");
    parts.forEach(root::set);
    ObjectNode fields = root.putObject("model");
    model.forEach(fields::set);
    if (model("type").asString("").equals("Unigram")) {
      ArrayNode scored = fields.putArray("vocab");
      byNumber((name, number) -> scored.addArray().add(name).add(scores.get(number).doubleValue()));
    } else {
      ObjectNode numbered = fields.putObject("vocab");
      byNumber(numbered::put);
      ArrayNode pairs = fields.putArray("merges");
      List<String> listed = scores.isEmpty() ? merges : MergeScores.merges(this);
      for (int i = 0; i < listed.size(); i += 2) {
        pairs.addArray().add(listed.get(i)).add(listed.get(i + 1));
      }
    }
    return (root.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8);
  }

  private void byNumber(BiConsumer<String, Integer> each) {
    vocabulary.entrySet().stream()
        .sorted(Map.Entry.comparingByValue())
        .forEach(token -> each.accept(token.getKey(), token.getValue()));
  }

  /** A top-level part, such as {@code decoder}. */
  JsonNode part(String name) {
    return parts.getOrDefault(name, MissingNode.getInstance());
  }

  void putPart(String name, JsonNode part) {
    parts.put(name, part);
  }

  /** A setting of the model. */
  JsonNode model(String name) {
    return model.getOrDefault(name, MissingNode.getInstance());
  }

  void putModel(String name, JsonNode setting) {
    model.put(name, setting);
  }

  /** Whether a setting of the model is true; absent ones are false. */
  boolean flag(String name) {
    return source.flag(model(name), name, false);
  }

  /** The model's settings, for a message; a missing node if there are no settings. */
  JsonNode modelFields() {
    if (model.isEmpty()) {
      return MissingNode.getInstance();
    }
    ArrayNode names = JsonNodeFactory.instance.arrayNode();
    model.keySet().forEach(names::add);
    return names;
  }

  private void readRoot(JsonParser parser) {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      throw source.trouble("is no tokenizer: it holds no JSON object");
    }
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      if (parser.nextToken() == JsonToken.START_OBJECT && name.equals("model")) {
        readModel(parser);
      } else {
        parts.put(name, parser.readValueAsTree());
      }
    }
    if (parser.nextToken() != null) {
      throw source.trouble("is no tokenizer: more follows after its JSON object");
    }
  }

  private void readModel(JsonParser parser) {
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      JsonToken value = parser.nextToken();
      if (name.equals("vocab") && value == JsonToken.START_OBJECT) {
        readVocabulary(parser);
      } else if (name.equals("vocab") && value == JsonToken.START_ARRAY) {
        readScores(parser);
      } else if (name.equals("merges") && value == JsonToken.START_ARRAY) {
        readMerges(parser);
      } else {
        model.put(name, parser.readValueAsTree());
      }
    }
  }

  private void readVocabulary(JsonParser parser) {
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      boolean whole =
          parser.nextToken() == JsonToken.VALUE_NUMBER_INT
              && parser.getNumberType() == JsonParser.NumberType.INT;
      int id = whole ? parser.getIntValue() : -1;
      if (id < 0 || id >= MAX_TOKENS) {
        throw source.trouble(
            "gives the token %s the number %s, expected 0 to %s",
            Source.shown(name), Source.shown(parser.<JsonNode>readValueAsTree()), MAX_TOKENS - 1);
      }
      vocabulary.put(name, id);
    }
  }

  private void readScores(JsonParser parser) {
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      String name =
          parser.currentToken() == JsonToken.START_ARRAY ? parser.nextStringValue() : null;
      boolean pair = name != null && parser.nextToken().isNumeric();
      double score = pair ? parser.getDoubleValue() : 0;
      if (!pair || parser.nextToken() != JsonToken.END_ARRAY) {
        throw source.trouble(
            "has the token number " + scores.size() + ", which is not a name and a score");
      }
      add(name, score);
    }
  }

  /** Adds the next token of a vocabulary with scores. */
  void add(String name, double score) {
    if (scores.size() == MAX_TOKENS) {
      throw source.trouble("has more than " + MAX_TOKENS + " tokens");
    }
    if (!(Math.abs(score) <= Float.MAX_VALUE)) { // not a number, or sums would overflow
      throw source.trouble(
          "gives the token " + Source.shown(name) + " the score " + score + ", expected a float32");
    }
    if (vocabulary.putIfAbsent(name, scores.size()) != null) {
      throw source.trouble("has the token " + Source.shown(name) + " twice");
    }
    scores.add(score);
  }

  private void readMerges(JsonParser parser) {
    for (JsonToken value = parser.nextToken();
        value != JsonToken.END_ARRAY;
        value = parser.nextToken()) {
      String left = null;
      String right = null;
      if (value == JsonToken.VALUE_STRING) {
        addMerge(parser.getString());
        continue;
      } else if (value == JsonToken.START_ARRAY) {
        left = parser.nextStringValue();
        right = left == null ? null : parser.nextStringValue();
        left = right != null && parser.nextToken() == JsonToken.END_ARRAY ? left : null;
      }
      addMerge(left, right);
    }
  }

  /**
   * @param pair two tokens with a space between
   */
  void addMerge(String pair) {
    String[] halves = pair.split(" ", 3);
    addMerge(halves.length == 2 ? halves[0] : null, halves[halves.length - 1]);
  }

  private void addMerge(String left, String right) {
    if (left == null) {
      throw source.trouble(
          "has the merge number " + merges.size() / 2 + ", which is not two tokens");
    }
    if (merges.size() == 2 * MAX_MERGES) {
      throw source.trouble("has more than " + MAX_MERGES + " merges");
    }
    merges.add(left);
    merges.add(right);
  }
}
