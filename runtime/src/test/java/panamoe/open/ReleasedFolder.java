package panamoe.open;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import panamoe.checkpoint.StoredType;
import panamoe.tensor.BFloat16;
import panamoe.tensor.Tensor;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A small released model, to write into a folder. */
public final class ReleasedFolder {
  /** A stored tensor. */
  record Saved(StoredType type, byte[] bytes, long... shape) {}

  final ObjectNode config = JsonNodeFactory.instance.objectNode();
  final Map<String, Saved> tensors = new TreeMap<>();
  private final Random random = new Random(5);

  /** Mixtral of two layers, each expert with its own tensors. */
  static ReleasedFolder mixtral(int hidden, int inner, int experts, StoredType type) {
    ReleasedFolder model = decoder("mixtral", hidden, inner, 300, type);
    model.config.put("num_local_experts", experts).put("num_experts_per_tok", 2);
    for (int layer = 0; layer < 2; layer++) {
      String moe = "model.layers." + layer + ".block_sparse_moe.";
      model.random(moe + "gate.weight", type, experts, hidden);
      for (int expert = 0; expert < experts; expert++) {
        model.random(moe + "experts." + expert + ".w1.weight", type, inner, hidden);
        model.random(moe + "experts." + expert + ".w3.weight", type, inner, hidden);
        model.random(moe + "experts." + expert + ".w2.weight", type, hidden, inner);
      }
    }
    return model;
  }

  /** Two layers without experts. */
  static ReleasedFolder decoder(
      String family, int hidden, int inner, int vocabulary, StoredType type) {
    ReleasedFolder model = new ReleasedFolder();
    model
        .config
        .put("model_type", family)
        .put("hidden_size", hidden)
        .put("intermediate_size", inner)
        .put("num_hidden_layers", 2)
        .put("num_attention_heads", 2)
        .put("num_key_value_heads", 1)
        .put("head_dim", hidden / 2)
        .put("vocab_size", vocabulary)
        .put("max_position_embeddings", 32)
        .put("torch_dtype", "float32");
    model.random("model.embed_tokens.weight", type, vocabulary, hidden);
    model.random("lm_head.weight", type, vocabulary, hidden);
    model.random("model.norm.weight", type, hidden);
    for (int layer = 0; layer < 2; layer++) {
      String before = "model.layers." + layer + ".";
      model.random(before + "input_layernorm.weight", type, hidden);
      model.random(before + "post_attention_layernorm.weight", type, hidden);
      model.random(before + "self_attn.q_proj.weight", type, hidden, hidden);
      model.random(before + "self_attn.k_proj.weight", type, hidden / 2, hidden);
      model.random(before + "self_attn.v_proj.weight", type, hidden / 2, hidden);
      model.random(before + "self_attn.o_proj.weight", type, hidden, hidden);
    }
    return model;
  }

  void random(String name, StoredType type, long... shape) {
    float[] values = new float[(int) Tensor.count(shape)];
    for (int i = 0; i < values.length; i++) {
      // Values that bfloat16 holds exactly, so that every dtype gives the same model.
      values[i] = BFloat16.toFloat(BFloat16.fromFloat((float) random.nextGaussian(0, 0.3)));
    }
    put(name, type, values, shape);
  }

  void put(String name, StoredType type, float[] values, long... shape) {
    ByteBuffer out = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      if (type == StoredType.F32) {
        out.putFloat(value);
      } else {
        out.putShort(BFloat16.fromFloat(value));
      }
    }
    tensors.put(name, new Saved(type, Arrays.copyOf(out.array(), out.position()), shape));
  }

  /** The values of a stored tensor. */
  float[] floats(String name) {
    Saved saved = tensors.get(name);
    ByteBuffer in = ByteBuffer.wrap(saved.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    float[] values = new float[(int) Tensor.count(saved.shape())];
    for (int i = 0; i < values.length; i++) {
      values[i] = saved.type() == StoredType.F32 ? in.getFloat() : BFloat16.toFloat(in.getShort());
    }
    return values;
  }

  /** Writes {@code config.json} and one file of weights. */
  public Path write(Path folder) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(folder.resolve("config.json"), config.toPrettyString());
    write(folder.resolve("model.safetensors"), tensors);
    return folder;
  }

  static void write(Path file, Map<String, Saved> tensors) throws IOException {
    ObjectNode header = JsonNodeFactory.instance.objectNode();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (Map.Entry<String, Saved> entry : tensors.entrySet()) {
      Saved saved = entry.getValue();
      ObjectNode tensor = header.putObject(entry.getKey()).put("dtype", saved.type().name());
      Arrays.stream(saved.shape()).forEach(tensor.withArray("shape")::add);
      tensor.withArray("data_offsets").add(data.size()).add(data.size() + saved.bytes().length);
      tensor.withArray("shape"); // of a scalar too
      data.writeBytes(saved.bytes());
    }
    byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer out =
        ByteBuffer.allocate(8 + json.length + data.size()).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file, out.putLong(json.length).put(json).put(data.toByteArray()).array());
  }
}
