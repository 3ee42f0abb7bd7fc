package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.open.ReleasedFolder.Saved;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.testkit.ScarceMemory;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Each folder is refused with a sentence that names the error, before anything is allocated. */
class ReleasedRefusalTest {
  private static final String NAME = "model.layers.1.block_sparse_moe.experts.2.w1.weight";
  private static final String INDEX = "model.safetensors.index.json";

  @TempDir private Path folder;
  private ReleasedFolder model;

  @BeforeEach
  void makeModel() {
    model = ReleasedFolder.mixtral(16, 12, 3, StoredType.F32);
  }

  private void refused(String... parts) {
    try (Backend backend = new ReferenceBackend()) {
      ScarceMemory none = new ScarceMemory(backend, 0);
      String message =
          assertThrows(
                  CheckpointException.class,
                  () -> ModelFolder.open(folder).load(none.backend(), DType.FLOAT32))
              .getMessage();
      assertEquals(1, message.lines().count(), message);
      for (String part : parts) {
        assertTrue(message.contains(part), message);
      }
    }
  }

  @Test
  void itLoads() throws IOException {
    try (Backend backend = new ReferenceBackend();
        LanguageModel loaded = ModelFolder.open(model.write(folder)).load(backend, DType.FLOAT32)) {
      assertEquals(2, loaded.config().layers());
    }
  }

  @Test
  void configurationsThatAreNotKnown() throws IOException {
    model.config.put("scale_of_everything", 2).putNull("nothing");
    model.write(folder);
    refused("config.json has scale_of_everything, which is not known here");
    model.config.remove("scale_of_everything");
    model.config.put("model_type", "bert");
    model.write(folder);
    refused("model_type is bert, an encoder, expected a decoder");
    model.config.put("model_type", "mamba");
    model.write(folder);
    refused("model_type is mamba, expected one of mixtral, qwen2_moe,");
    model.config.put("model_type", "b\n".repeat(1000));
    model.write(folder);
    refused("model_type is b?b?", "..., expected one of");
    model.config.put("model_type", "mixtral").put("hidden_act", "gelu");
    model.write(folder);
    refused("hidden_act is \"gelu\", expected silu");
    model.config.remove("hidden_act");
    model.config.putObject("rope_scaling").put("rope_type", "ntk").put("factor", 1);
    model.write(folder);
    refused("rope_scaling.rope_type is ntk, expected one of");
    model.config.putObject("rope_scaling").put("rope_type", "linear").put("factor", 2).put("x", 1);
    model.write(folder);
    refused("config.json has rope_scaling.x, which is not known here");
    model.config.remove("rope_scaling");
    model.config.put("num_hidden_layers", -1);
    model.write(folder);
    refused("num_hidden_layers is -1, expected a whole number from 1");
    model.config.put("num_hidden_layers", 2).put("num_experts_per_tok", 4);
    model.write(folder);
    refused("config.json: num_experts_per_tok is 4, expected at most 3, the number of experts");
    model
        .config
        .put("num_experts_per_tok", 2)
        .putObject("quantization_config")
        .put("quant_method", "gptq");
    model.write(folder);
    refused("quantization_config.bits is missing, expected a whole number from 1");
    model.config.putObject("quantization_config").put("quant_method", "aqlm");
    model.write(folder);
    refused(
        "quantization_config.quant_method is aqlm, expected one of fp8, mxfp4, compressed-tensors,"
            + " awq, gptq, modelopt");
  }

  @Test
  void aTokenizerOfAnotherModel() throws IOException {
    model.write(folder);
    Path other = Path.of("src/test/resources/golden/sentencepiece/bpe_bytes.model");
    Files.copy(other, folder.resolve("tokenizer.model"));
    refused("the tokenizer has 560 tokens but the model of " + folder + " has a vocabulary of ");
  }

  /** Before names for a million experts are created. */
  @Test
  void aConfigurationOfFarMoreWeightsThanTheFilesHold() throws IOException {
    model.config.put("num_local_experts", 1024).put("num_hidden_layers", 1024);
    model.write(folder);
    refused(folder + ": the configuration asks for ", " weights, but the files hold ");
  }

  @Test
  void tensorsThatAreNotTheConfigurations() throws IOException {
    Saved taken = model.tensors.remove(NAME);
    model.write(folder);
    refused(folder + ": the tensors do not fit the configuration: missing " + NAME);
    model.tensors.put(NAME, new Saved(StoredType.F32, new byte[11 * 16 * 4], 11, 16));
    model.write(folder);
    String up = NAME.replace("w1", "w3");
    refused(NAME + " and " + up + " have 11 and 12 rows, expected as many");
    Saved taller = model.tensors.put(up, new Saved(StoredType.F32, new byte[13 * 16 * 4], 13, 16));
    model.write(folder);
    refused(NAME + " and " + up + " have 11 and 13 rows, expected as many");
    model.tensors.put(up, new Saved(StoredType.F32, new byte[11 * 16 * 4], 11, 16));
    model.write(folder);
    refused(NAME + " and " + up + " make a matrix [22, 16], expected [24, 16]");
    model.tensors.put(up, taller);
    model.tensors.put(NAME, new Saved(StoredType.F32, new byte[12 * 15 * 4], 12, 15));
    model.write(folder);
    refused("rows of different widths are joined: [15, 16]");
    model.tensors.put(NAME, new Saved(StoredType.I32, taken.bytes(), 12, 16));
    model.write(folder);
    refused(NAME + " is I32, which no weight is stored as");
    model.tensors.put(NAME, new Saved(StoredType.F8_E4M3, new byte[12 * 16], 12, 16));
    model.write(folder);
    refused(NAME + " is F8_E4M3, but config.json has no quantization_config");
    model.tensors.put(NAME, taken);
    model.tensors.put(
        "model.layers.2.input_layernorm.weight", model.tensors.get("model.norm.weight"));
    model.write(folder);
    refused("unexpected model.layers.2.input_layernorm.weight");
  }

  /** A head that repeats a tied embedding, and rotary buffers, are not read. */
  @Test
  void tensorsWithoutMeaningAreAllowed() throws IOException {
    model.config.put("tie_word_embeddings", true);
    model.random("model.layers.0.self_attn.rotary_emb.inv_freq", StoredType.F32, 4);
    model.write(folder);
    itLoads();
    model.tensors.remove("lm_head.weight");
    itLoads();
    model.config.remove("tie_word_embeddings");
    model.write(folder);
    refused("missing lm_head.weight");
  }

  @Test
  void filesThatAreDamagedOrForeign() throws IOException {
    Path file = model.write(folder).resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length - 1));
    refused(file.toString(), "but the file holds only", "download or copy it again");
    Files.write(file, new byte[] {(byte) 0x80, 2, 'p'});
    refused("is not a safetensors file; it looks like a Python pickle");
    Files.move(file, folder.resolve("pytorch_model.bin"));
    refused("Python's pickles, such as pytorch_model.bin", "get the model as safetensors");
    CheckpointException named =
        assertThrows(
            CheckpointException.class, () -> ModelFolder.open(folder.resolve("pytorch_model.bin")));
    assertTrue(named.getMessage().contains("get the model as safetensors"), named.getMessage());
    Files.delete(folder.resolve("pytorch_model.bin"));
    refused(folder + " holds neither model.safetensors nor " + INDEX);
    Files.writeString(folder.resolve("config.json"), "{\"model_type\": \"mixtral\", ");
    refused("config.json is not valid JSON");
  }

  @Test
  void indicesThatLeadAstray() throws IOException {
    model.write(folder);
    Files.delete(folder.resolve("model.safetensors"));
    String first = "model-00001-of-00002.safetensors";
    String second = "model-00002-of-00002.safetensors";
    TreeMap<String, Saved> other = new TreeMap<>();
    other.put(NAME, model.tensors.remove(NAME));
    ReleasedFolder.write(folder.resolve(first), model.tensors);
    ReleasedFolder.write(folder.resolve(second), other);
    TreeMap<String, String> places = new TreeMap<>();
    model.tensors.keySet().forEach(name -> places.put(name, first));
    places.put(NAME, second);
    writeIndex(places);
    itLoadsAsItIs();
    places.put(NAME, "../" + second);
    writeIndex(places);
    refused("places the tensor " + NAME + " in \"../" + second + "\", which is not the name");
    places.put(NAME, "/etc/passwd");
    writeIndex(places);
    refused("which is not the name of a safetensors file in its folder");
    places.put(NAME, first);
    writeIndex(places);
    refused(second + " is a shard that " + INDEX + " does not name");
    places.put("model.norm.weight", second);
    writeIndex(places);
    refused(first + " lacks the tensor " + NAME);
    places.remove(NAME);
    places.put("model.norm.weight", first);
    places.put("another", second);
    writeIndex(places);
    refused("lacks the tensor another");
    places.remove("another");
    places.put(NAME, second);
    places.remove("model.norm.weight");
    writeIndex(places);
    refused(first + " holds the tensor model.norm.weight, which " + INDEX + " does not name");
    places.put("model.norm.weight", first);
    writeIndex(places);
    Files.move(folder.resolve(second), folder.resolve("elsewhere"));
    refused(second + " does not exist");
    Files.createSymbolicLink(folder.resolve(second), Path.of("elsewhere"));
    refused(second + " is a symbolic link");
    Files.writeString(folder.resolve("model.safetensors"), "");
    refused("holds both model.safetensors and " + INDEX);
  }

  private void itLoadsAsItIs() {
    try (Backend backend = new ReferenceBackend()) {
      ModelFolder.open(folder).load(backend, DType.FLOAT32).close();
    }
  }

  private void writeIndex(TreeMap<String, String> places) throws IOException {
    ObjectNode index = JsonNodeFactory.instance.objectNode();
    index.putObject("metadata").put("total_size", 1);
    ObjectNode map = index.putObject("weight_map");
    places.forEach(map::put);
    Files.writeString(folder.resolve(INDEX), index.toString());
  }

  @Test
  void whatDoesNotFitIntoMemory() throws IOException {
    ModelFolder opened = ModelFolder.open(model.write(folder));
    CheckpointException refused =
        assertThrows(
            CheckpointException.class,
            () ->
                opened
                    .weights()
                    .require(opened.config(), WeightTypes.of(DType.FLOAT32), 1000, true));
    assertTrue(refused.getMessage().contains("1.0 KiB are available"), refused.getMessage());
    InferenceMemory memory = InferenceMemory.of(opened.config(), WeightTypes.of(DType.FLOAT32));
    long floats = model.tensors.values().stream().mapToLong(saved -> saved.bytes().length).sum();
    assertEquals(floats, memory.weights());
    assertEquals(
        2 * 2 * 32 * 8 * 4, memory.keysAndValues()); // layers, K and V, tokens, size, bytes
    assertEquals(32 * 8 * 4, memory.buffers()); // rotary tables: tokens, size, bytes
    assertEquals(memory.buffers(), memory.parts().get("buffers"));
  }

  @Test
  void tablesOfTemperaturesCount() {
    ModelConfig config = ModelFolder.open(Path.of("../lab/golden/hf/llama4_b")).config();
    InferenceMemory memory = InferenceMemory.of(config, WeightTypes.of(DType.FLOAT32));
    assertEquals(256 * (8 + 8) * 4, memory.buffers()); // tokens, rotated and whole heads, bytes
  }

  @Test
  void usesThatNeedACheckpoint() throws IOException {
    ModelFolder opened = ModelFolder.open(model.write(folder));
    String checkpoint = assertThrows(CheckpointException.class, opened::checkpoint).getMessage();
    assertTrue(checkpoint.contains("is a released model"), checkpoint);
    String tokenizer = assertThrows(CheckpointException.class, opened::tokenizer).getMessage();
    assertTrue(tokenizer.contains("has no tokenizer.json"), tokenizer);
  }
}
