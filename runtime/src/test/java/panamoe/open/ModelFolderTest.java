package panamoe.open;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Activation;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.CheckpointStore;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.ByteTokenizer;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.ScarceMemory;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

class ModelFolderTest {
  private static ModelConfig config(int feedForward) {
    return new UniformModel(
            new ByteTokenizer().vocabularySize(),
            16,
            8,
            2,
            1,
            feedForward,
            List.of(0, 3),
            true,
            GateConfig.dropless(1),
            Activation.GELU_TANH,
            NormConfig.Kind.LAYER,
            UniformModel.Positions.LEARNED,
            false,
            0.2)
        .toConfig();
  }

  private static void save(
      ReferenceBackend backend, ModelConfig held, ModelConfig claimed, Path folder) {
    try (LanguageModel model = new LanguageModel(held)) {
      model.materialize(backend, DType.FLOAT32, false, 3);
      JsonNodeFactory json = JsonNodeFactory.instance;
      ObjectNode config = json.objectNode().set("model", ConfigJson.tree(claimed));
      new CheckpointStore(folder, 1)
          .save(
              new CheckpointContents(
                  1,
                  config,
                  json.objectNode(),
                  held.experts(),
                  ModelTensors.masters(model),
                  Map.of()));
    }
  }

  @Test
  void loadsWhatItsFilesHold(@TempDir Path folder) {
    try (ReferenceBackend backend = new ReferenceBackend()) {
      save(backend, config(12), config(12), folder);
      List<String> warnings = new ArrayList<>();
      try (LanguageModel loaded = ModelFolder.open(folder).load(backend, DType.FLOAT32, warnings)) {
        assertEquals(config(12).withGates(GateConfig::withoutDropping), loaded.config());
        assertEquals(List.of(), warnings);
      }
    }
  }

  @Test
  void allocatesNothingForAConfigThatAsksForMore(@TempDir Path folder) {
    try (ReferenceBackend backend = new ReferenceBackend()) {
      save(backend, config(12), config(131_072), folder);
      ScarceMemory none = new ScarceMemory(backend, 0);
      ModelFolder opened = ModelFolder.open(folder);
      CheckpointException refused =
          assertThrows(
              CheckpointException.class,
              () -> opened.load(none.backend(), DType.FLOAT32, new ArrayList<>()));
      assertTrue(
          refused.getMessage().contains("has the shape [8, 12], expected [8, 131072]"),
          refused.getMessage());
    }
  }

  /** Beside a run that saves as fast as it can, and keeps no more than it must. */
  @Test
  void aReaderFindsTheNewestWhileATrainerSavesAndDeletes(@TempDir Path folder) throws Exception {
    try (ReferenceBackend backend = new ReferenceBackend();
        LanguageModel model = new LanguageModel(config(12));
        ExecutorService trainer = Executors.newSingleThreadExecutor()) {
      model.materialize(backend, DType.FLOAT32, false, 3);
      JsonNodeFactory json = JsonNodeFactory.instance;
      ObjectNode config = json.objectNode().set("model", ConfigJson.tree(config(12)));
      Map<String, Tensor> weights = ModelTensors.masters(model);
      CheckpointStore store = new CheckpointStore(folder, 1);
      AtomicBoolean enough = new AtomicBoolean();
      CountDownLatch begun = new CountDownLatch(1);
      AtomicLong saved = new AtomicLong();
      Future<?> saves =
          trainer.submit(
              () -> {
                try {
                  while (!enough.get()) {
                    long step = saved.get() + 1;
                    store.save(
                        new CheckpointContents(
                            step,
                            config,
                            json.objectNode(),
                            config(12).experts(),
                            weights,
                            Map.of()));
                    saved.set(step);
                    begun.countDown();
                  }
                } finally {
                  begun.countDown();
                }
              });
      try {
        begun.await();
        long before = 0;
        for (int i = 0; i < 3000 || saved.get() < 20 && !saves.isDone(); i++) {
          ModelFolder opened = ModelFolder.open(folder);
          assertTrue(opened.checkpoint().step() >= before, "an older one than before");
          before = opened.checkpoint().step();
          if (i % 10 == 0) {
            opened.load(backend, DType.FLOAT32, new ArrayList<>()).close();
          }
        }
      } finally {
        enough.set(true);
      }
      saves.get(); // throws what a save has
    }
  }
}
