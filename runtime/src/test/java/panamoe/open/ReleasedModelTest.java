package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.backend.Backend;
import panamoe.backend.abi.MemoryUsage;
import panamoe.backend.abi.NativeBackend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.data.ByteTokenizer;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.io.Sha256;
import panamoe.model.LanguageModel;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;

/** Released models in all forms of their files. */
class ReleasedModelTest {
  private static final String EXPERTS = "model.layers.%d.mlp.experts.";

  @TempDir private Path folder;

  /** Digests of the bytes of every parameter in the kernels' form. */
  private static Map<String, String> loaded(Path path, DType dtype) {
    try (Backend backend = new ReferenceBackend();
        LanguageModel model = ModelFolder.open(path).load(backend, dtype)) {
      Map<String, String> parameters = new LinkedHashMap<>();
      for (Parameter parameter : model.parameters().parameters()) {
        byte[] bytes = HostView.elements(parameter.value()).toArray(ValueLayout.JAVA_BYTE);
        parameters.put(parameter.name(), Sha256.hex(bytes));
      }
      return parameters;
    }
  }

  private ReleasedFolder stacked(ReleasedFolder separate, int experts) {
    ReleasedFolder model = new ReleasedFolder();
    model.config.setAll(separate.config);
    separate.tensors.forEach(
        (name, saved) -> {
          if (!name.contains("block_sparse_moe")) {
            model.tensors.put(name, saved);
          }
        });
    for (int layer = 0; layer < 2; layer++) {
      String old = "model.layers." + layer + ".block_sparse_moe.";
      String moe = "model.layers." + layer + ".mlp.";
      model.tensors.put(moe + "gate.weight", separate.tensors.get(old + "gate.weight"));
      float[] up = new float[0];
      float[] down = new float[0];
      for (int expert = 0; expert < experts; expert++) {
        String each = old + "experts." + expert + ".";
        up = joined(up, separate.floats(each + "w1.weight"));
        up = joined(up, separate.floats(each + "w3.weight"));
        down = joined(down, separate.floats(each + "w2.weight"));
      }
      model.put(moe + "experts.gate_up_proj", StoredType.F32, up, experts, 24, 16);
      model.put(moe + "experts.down_proj", StoredType.F32, down, experts, 16, 12);
    }
    return model;
  }

  private static float[] joined(float[] first, float[] second) {
    float[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }

  @Test
  void stackedExpertsAreTheSameModel() throws IOException {
    ReleasedFolder separate = ReleasedFolder.mixtral(16, 12, 3, StoredType.F32);
    Path each = separate.write(folder.resolve("each"));
    Path all = stacked(separate, 3).write(folder.resolve("all"));
    for (DType dtype : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
      assertEquals(loaded(each, dtype), loaded(all, dtype));
    }
    assertNotEquals(
        ModelFolder.open(each).weights().sha256(), ModelFolder.open(all).weights().sha256());
  }

  @Test
  void bfloat16IsTheSameModel() throws IOException {
    Path wide = ReleasedFolder.mixtral(16, 12, 3, StoredType.F32).write(folder.resolve("f32"));
    Path half = ReleasedFolder.mixtral(16, 12, 3, StoredType.BF16).write(folder.resolve("bf16"));
    for (DType dtype : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
      assertEquals(loaded(wide, dtype), loaded(half, dtype));
    }
  }

  /** Scales of blocks of 5 by 7, which do not divide the matrices. */
  @Test
  void eightBitsAreTheirValuesTimesScales() throws IOException {
    ReleasedFolder wide = ReleasedFolder.mixtral(16, 12, 3, StoredType.F32);
    ReleasedFolder eight = new ReleasedFolder();
    eight.config.setAll(wide.config);
    eight
        .config
        .putObject("quantization_config")
        .put("quant_method", "fp8")
        .put("fmt", "e4m3")
        .put("activation_scheme", "dynamic")
        .putArray("weight_block_size")
        .add(5)
        .add(7);
    Random random = new Random(6);
    for (String name : wide.tensors.keySet().toArray(String[]::new)) {
      ReleasedFolder.Saved saved = wide.tensors.get(name);
      if (!name.contains("_proj") && !name.contains(".experts.")) {
        eight.tensors.put(name, saved);
        continue;
      }
      int rows = (int) saved.shape()[0];
      int columns = (int) saved.shape()[1];
      int across = Math.ceilDiv(columns, 7);
      float[] scales = new float[Math.ceilDiv(rows, 5) * across];
      for (int i = 0; i < scales.length; i++) {
        scales[i] = random.nextFloat(0.1f, 2);
      }
      byte[] bits = new byte[rows * columns];
      float[] values = new float[rows * columns];
      for (int i = 0; i < bits.length; i++) {
        int number = random.nextInt(8); // m / 8 of 2^0: 1 to 1.875
        boolean negative = random.nextBoolean();
        bits[i] = (byte) (0x38 | number | (negative ? 0x80 : 0));
        float value = (negative ? -1 : 1) * (1 + number / 8f);
        values[i] = value * scales[i / columns / 5 * across + i % columns / 7];
      }
      eight.tensors.put(name, new ReleasedFolder.Saved(StoredType.F8_E4M3, bits, saved.shape()));
      eight.put(name + "_scale_inv", StoredType.F32, scales, Math.ceilDiv(rows, 5), across);
      wide.put(name, StoredType.F32, values, saved.shape());
    }
    assertEquals(
        loaded(wide.write(folder.resolve("wide")), DType.FLOAT32),
        loaded(eight.write(folder.resolve("eight")), DType.FLOAT32));
  }

  /** The released layout, compared with the float matrices [in, out] that transformers saves. */
  @Test
  void mxfp4IsItsValues() throws IOException {
    int hidden = 32;
    int experts = 2;
    ReleasedFolder floats = ReleasedFolder.decoder("gpt_oss", hidden, 64, 300, StoredType.F32);
    floats.config.put("num_local_experts", experts).put("num_experts_per_tok", 1);
    for (int layer = 0; layer < 2; layer++) {
      String before = "model.layers." + layer + ".";
      for (String projection : new String[] {"q", "k", "v", "o"}) {
        long size = projection.equals("q") || projection.equals("o") ? hidden : hidden / 2;
        floats.random(before + "self_attn." + projection + "_proj.bias", StoredType.F32, size);
      }
      floats.random(before + "self_attn.sinks", StoredType.F32, 2);
      floats.random(before + "mlp.router.weight", StoredType.F32, experts, hidden);
      floats.random(before + "mlp.router.bias", StoredType.F32, experts);
      floats.random(before + "mlp.experts.gate_up_proj_bias", StoredType.F32, experts, 128);
      floats.random(before + "mlp.experts.down_proj_bias", StoredType.F32, experts, hidden);
    }
    ReleasedFolder four = new ReleasedFolder();
    four.config.setAll(floats.config);
    four.config.putObject("quantization_config").put("quant_method", "mxfp4");
    four.tensors.putAll(floats.tensors);
    for (int layer = 0; layer < 2; layer++) {
      String names = EXPERTS.formatted(layer);
      addMxfp4(floats, four, names + "gate_up_proj", experts, 128, hidden);
      addMxfp4(floats, four, names + "down_proj", experts, hidden, 64);
    }
    assertEquals(
        loaded(floats.write(folder.resolve("floats")), DType.BFLOAT16),
        loaded(four.write(folder.resolve("four")), DType.BFLOAT16));
  }

  private static void addMxfp4(
      ReleasedFolder floats, ReleasedFolder four, String name, int experts, int rows, int columns) {
    float[] table = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    Random random = new Random(name.hashCode());
    byte[] blocks = new byte[experts * rows * columns / 2];
    byte[] scales = new byte[experts * rows * columns / 32];
    float[] transposed = new float[experts * rows * columns];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = (byte) (125 + random.nextInt(4));
    }
    for (int i = 0; i < transposed.length; i++) {
      int bits = random.nextInt(16);
      blocks[i / 2] |= (byte) (i % 2 == 0 ? bits : bits << 4);
      float value = bits < 8 ? table[bits] : 0 - table[bits % 8]; // code 8 is 0, not -0, as in ggml
      int expert = i / columns / rows;
      int row = i / columns % rows;
      int column = i % columns;
      transposed[(expert * columns + column) * rows + row] =
          (float) (value * Math.pow(2, (scales[i / 32] & 0xff) - 127));
    }
    floats.put(name, StoredType.F32, transposed, experts, columns, rows);
    four.tensors.put(
        name + "_blocks",
        new ReleasedFolder.Saved(StoredType.U8, blocks, experts, rows, columns / 32, 16));
    four.tensors.put(
        name + "_scales",
        new ReleasedFolder.Saved(StoredType.U8, scales, experts, rows, columns / 32));
  }

  /** Both spellings of the rotary base. */
  @Test
  void rotaryParametersAreReadInBothSpellings() throws IOException {
    ReleasedFolder old = ReleasedFolder.mixtral(16, 12, 3, StoredType.F32);
    old.config
        .put("rope_theta", 5000.0)
        .putObject("rope_scaling")
        .put("type", "linear")
        .put("factor", 2.0);
    ReleasedFolder recent = ReleasedFolder.mixtral(16, 12, 3, StoredType.F32);
    recent
        .config
        .putObject("rope_parameters")
        .put("rope_theta", 5000.0)
        .put("rope_type", "linear")
        .put("factor", 2.0);
    assertEquals(
        ModelFolder.open(old.write(folder.resolve("old"))).config(),
        ModelFolder.open(recent.write(folder.resolve("recent"))).config());
  }

  /** The head's padding rows have the largest logits. */
  @Test
  void tokensBeyondTheTokenizersAreNeverDrawn() throws IOException {
    ReleasedFolder model = ReleasedFolder.mixtral(16, 12, 3, StoredType.F32);
    float[] head = model.floats("lm_head.weight");
    for (int i = 257 * 16; i < head.length; i++) {
      head[i] *= 100;
    }
    model.put("lm_head.weight", StoredType.F32, head, 300, 16);
    try (Backend backend = new ReferenceBackend();
        LanguageModel loaded = ModelFolder.open(model.write(folder)).load(backend, DType.FLOAT32);
        Engine engine = Engine.forOne(backend, loaded, new ByteTokenizer())) {
      StopConfig stop = new StopConfig(12, 0, List.of(), Set.of(), true, true);
      SamplingConfig greedy =
          new SamplingConfig(0, 0, 1, 0, SamplingConfig.Penalties.NONE, Map.of(), 1);
      GenerationRequest request = GenerationRequest.of(new int[] {65}, greedy, stop);
      assertEquals(12, engine.run(request, _ -> {}).tokens());
      GenerationRequest beyond = GenerationRequest.of(new int[] {299}, greedy, stop);
      assertThrows(IllegalArgumentException.class, () -> engine.run(beyond, _ -> {}));
    }
  }

  @Test
  void makersSayHowTokensAreDrawn() throws IOException {
    Path path = ReleasedFolder.mixtral(16, 12, 3, StoredType.F32).write(folder);
    assertEquals(SamplingDefaults.NONE, ModelFolder.open(path).tokenizerFiles().sampling());
    Path file = path.resolve("generation_config.json");
    Files.writeString(
        file,
        "{\"eos_token_id\": [7, 8], \"temperature\": 0.6, \"top_k\": 20, \"top_p\": 0.95, \"do_sample\": true}");
    assertEquals(
        new SamplingDefaults(0.6, 20, 0.95, null, null),
        ModelFolder.open(path).tokenizerFiles().sampling());
    Files.writeString(file, "{\"do_sample\": false, \"temperature\": \"hot\"}");
    assertEquals(0, ModelFolder.open(path).tokenizerFiles().sampling().temperature());
    Files.writeString(file, "{\"temperature\": \"hot\"}");
    assertThrows(
        CheckpointException.class, () -> ModelFolder.open(path).tokenizerFiles().sampling());
    Files.writeString(file, "{\"top_k\": -1}");
    assertEquals(0, ModelFolder.open(path).tokenizerFiles().sampling().topK());
    for (String wrong : new String[] {"top_k\": 0.5", "top_p\": 1.5", "temperature\": -1"}) {
      Files.writeString(file, "{\"" + wrong + "}");
      String message =
          assertThrows(
                  CheckpointException.class,
                  () -> ModelFolder.open(path).tokenizerFiles().sampling())
              .getMessage();
      assertTrue(message.startsWith(file + ": ") && message.contains("expected"), message);
    }
  }

  /** Staging uses the backend's memory too, so its allocator counts all of a load. */
  @ParameterizedTest
  @ValueSource(strings = {"F32", "BF16"})
  void peakMemoryIsHardlyMoreThanWhatStays(StoredType type) throws IOException {
    ReleasedFolder model = ReleasedFolder.mixtral(256, 1024, 2, type);
    model.config.put("num_local_experts", 8);
    model.random("model.layers.0.block_sparse_moe.gate.weight", type, 8, 256);
    model.random("model.layers.1.block_sparse_moe.gate.weight", type, 8, 256);
    for (String name : model.tensors.keySet().toArray(String[]::new)) {
      for (int expert = 1; name.contains("experts.0.") && expert < 8; expert++) {
        model.tensors.put(
            name.replace("experts.0.", "experts." + expert + "."), model.tensors.get(name));
      }
    }
    Path path = model.write(folder);
    try (NativeBackend backend = NativeBackend.open("cpu", 2);
        LanguageModel _ = ModelFolder.open(path).load(backend, DType.BFLOAT16)) {
      MemoryUsage usage = backend.memoryUsage();
      assertTrue(usage.inUse() > 24 << 20, usage.toString());
      assertTrue(usage.peak() <= 1.1 * usage.inUse(), usage.toString());
    }
  }

  /** Values that are not finite give a warning, or are refused. */
  @Test
  void damagedValuesAreSeen() throws IOException {
    ReleasedFolder model = ReleasedFolder.mixtral(16, 12, 3, StoredType.BF16);
    float[] norm = new float[16];
    norm[3] = Float.NaN;
    model.put("model.norm.weight", StoredType.BF16, norm, 16);
    Path path = model.write(folder);
    try (Backend backend = new ReferenceBackend()) {
      List<String> warnings = new ArrayList<>();
      ModelFolder.open(path).load(backend, DType.FLOAT32, warnings).close();
      assertEquals(
          List.of(
              path + " holds 1 NaN or infinite values in 1 tensor: final_norm.weight (1 values)"),
          warnings);
      assertThrows(
          CheckpointException.class, () -> ModelFolder.open(path).load(backend, DType.FLOAT32));
    }
  }
}
