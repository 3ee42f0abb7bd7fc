package panamoe.data.tokenizer;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.IntNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Converts SentencePiece's file, {@code tokenizer.model}, to a {@code tokenizer.json}, by the
 * metadata that a GGUF file has of it. Numbers of fields are those of {@code
 * sentencepiece_model.proto}.
 */
public final class SentencePiece {
  private static final List<String> KINDS = List.of("", "Unigram", "BPE", "word", "char");

  private SentencePiece() {}

  /**
   * Reads a tokenizer.
   *
   * @param model the content of the file
   * @param config {@code tokenizer_config.json}, whose added tokens are further tokens
   * @param file its name, for messages
   * @throws panamoe.io.DataException if it is damaged or has unsupported parts
   */
  public static Pipeline read(byte[] model, JsonNode config, String file) {
    return new Pipeline(convert(model, config, new Source(file)));
  }

  /** The tokenizer of {@link #read} as the content of a {@code tokenizer.json}. */
  public static byte[] json(byte[] model, JsonNode config, String file) {
    return convert(model, config, new Source(file)).write();
  }

  private static TokenizerJson convert(byte[] model, JsonNode config, Source source) {
    Map<String, Object> metadata;
    try {
      metadata = metadata(ProtobufMessage.read(ByteBuffer.wrap(model)), source);
    } catch (BufferUnderflowException | IllegalArgumentException | ClassCastException e) {
      throw source.trouble("is truncated, or not a model of SentencePiece");
    }
    TokenizerJson json =
        GgufTokenizer.convert(new TokenizerMetadata(metadata, source.file())).orElseThrow();
    json.putPart("added_tokens", added(json, config.path("added_tokens_decoder")));
    return json;
  }

  private static Map<String, Object> metadata(ProtobufMessage model, Source source) {
    if (model.messages(1).isEmpty()) {
      throw new IllegalArgumentException("no pieces");
    }
    ProtobufMessage trainer = model.message(2);
    ProtobufMessage normalizer = model.message(3);
    int kind = trainer.number(3, 1);
    if (kind != 1 && kind != 2) {
      throw source.trouble(
          "has a model of the kind %s, expected Unigram or BPE",
          kind > 0 && kind < KINDS.size() ? KINDS.get(kind) : kind);
    }
    if (trainer.number(24, 0) != 0 || normalizer.number(5, 1) == 0) {
      throw source.trouble("puts spaces behind words, or keeps them, which is not supported");
    }
    if (model.message(5).bytes(2).length > 0) {
      throw source.trouble("has a denormalizer, which is not supported");
    }
    List<String> names = new ArrayList<>();
    List<Object> scores = new ArrayList<>();
    List<Object> types = new ArrayList<>();
    Map<String, Object> metadata = new HashMap<>();
    for (ProtobufMessage piece : model.messages(1)) {
      String name = piece.text(1, "");
      int type = piece.number(3, GgufTokenizerKeys.NORMAL);
      if (type == GgufTokenizerKeys.UNKNOWN) {
        metadata.put("tokenizer.ggml.unknown_token_id", names.size());
      } else if (name.equals(trainer.text(46, "<s>")) && type == GgufTokenizerKeys.CONTROL) {
        metadata.put("tokenizer.ggml.bos_token_id", names.size());
      }
      names.add(name);
      scores.add(piece.real(2));
      types.add(type);
    }
    metadata.put("tokenizer.ggml.model", kind == 1 ? "t5" : "llama");
    metadata.put("tokenizer.ggml.tokens", names);
    metadata.put("tokenizer.ggml.scores", scores);
    metadata.put("tokenizer.ggml.token_type", types);
    metadata.put("tokenizer.ggml.precompiled_charsmap", normalizer.bytes(2));
    metadata.put("tokenizer.ggml.add_space_prefix", normalizer.number(3, 1) != 0);
    metadata.put("tokenizer.ggml.remove_extra_whitespaces", normalizer.number(4, 1) != 0);
    return metadata;
  }

  /**
   * The pieces that the trainer was given, which are sought in normalised text, and {@code
   * tokenizer_config.json}'s tokens, which replace control pieces of their names.
   */
  private static ArrayNode added(TokenizerJson json, JsonNode further) {
    Map<String, ObjectNode> added = new LinkedHashMap<>();
    for (JsonNode each : json.part("added_tokens")) {
      boolean given = !each.path("special").booleanValue();
      ObjectNode token = ((ObjectNode) each).put("normalized", given);
      added.put(each.path("content").asString(), token.put(AddedToken.VERBATIM, given));
    }
    for (Map.Entry<String, JsonNode> entry : further.properties()) {
      String name = entry.getValue().path("content").asString("");
      if (!added.containsKey(name) || added.get(name).path("special").booleanValue()) {
        ObjectNode token = JsonNodeFactory.instance.objectNode();
        entry.getValue().properties().forEach(each -> token.set(each.getKey(), each.getValue()));
        added.put(name, token.set("id", number(entry.getKey(), json.source)));
      }
    }
    return JsonNodeFactory.instance.arrayNode().addAll(added.values());
  }

  static IntNode number(String key, Source source) {
    try {
      return IntNode.valueOf(Integer.parseInt(key));
    } catch (NumberFormatException e) {
      throw source.trouble(
          "goes with a tokenizer_config.json that adds a token with the number %s",
          Source.shown(key));
    }
  }
}
