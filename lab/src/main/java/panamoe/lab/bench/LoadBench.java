package panamoe.lab.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.checkpoint.CheckpointContents;
import panamoe.checkpoint.CheckpointStore;
import panamoe.checkpoint.TensorFiles;
import panamoe.config.ModelConfig;
import panamoe.data.ByteTokenizer;
import panamoe.io.ConfigJson;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.nn.Cost;
import panamoe.open.ModelFolder;
import panamoe.tensor.DType;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Opening a model for inference from the page cache. The baseline is a plain read of its files with
 * equally many threads. The model is a user's, or a temporary float32 checkpoint of {@link
 * GenerationModel#PAPER}.
 *
 * @param temporary folder of the checkpoint; null for a user's model
 */
record LoadBench(Backend backend, Supplier<LanguageModel> load, List<Path> files, Path temporary)
    implements Bench {
  private static final int PIECE_BYTES = 1 << 20;

  /** Writes a checkpoint, which is deleted with the subject. */
  static LoadBench drawn(Backend backend, LayerShape shape, DType dtype, long seed) {
    try {
      Path folder = Files.createTempDirectory("panamoe-load");
      try {
        ModelConfig config =
            GenerationModel.PAPER.config(shape, new ByteTokenizer().vocabularySize());
        write(backend, config, folder, seed);
        return new LoadBench(
            backend,
            () -> ModelFolder.open(folder).load(backend, dtype),
            files(ModelFolder.open(folder)),
            folder);
      } catch (RuntimeException | Error e) {
        delete(folder);
        throw e;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Measures a user's model. */
  static LoadBench of(Backend backend, ModelFile file, DType compute) {
    return new LoadBench(backend, () -> file.load(backend, compute), files(file.folder()), null);
  }

  private static List<Path> files(ModelFolder folder) {
    try (TensorFiles files = folder.weights().open()) {
      return files.tensors().values().stream().map(files::file).distinct().toList();
    }
  }

  private static void write(Backend backend, ModelConfig config, Path folder, long seed) {
    JsonNodeFactory json = JsonNodeFactory.instance;
    ObjectNode tree = json.objectNode().set("model", ConfigJson.tree(config));
    try (LanguageModel model = new LanguageModel(config)) {
      model.materialize(backend, DType.FLOAT32, false, seed);
      backend.synchronize();
      new CheckpointStore(folder, 1)
          .save(
              new CheckpointContents(
                  1,
                  tree,
                  json.objectNode(),
                  config.experts(),
                  ModelTensors.masters(model),
                  Map.of()));
    }
  }

  @Override
  public Workload over(int tokens) {
    return new Load();
  }

  @Override
  public void close() {
    try {
      if (temporary != null) {
        delete(temporary);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> entries = Files.walk(folder)) {
      for (Path entry : entries.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(entry);
      }
    }
  }

  private final class Load implements Workload {
    @Override
    public void run(int call) {
      load.get().close();
    }

    @Override
    public Beside beside() {
      return new Beside("page cache", Contender.of(_ -> read()));
    }

    /** Bytes of all files: a load reads each file once. */
    @Override
    public Cost cost() {
      return new Cost(0, files.stream().mapToLong(LoadBench::size).sum(), 0, 0, 0);
    }

    @Override
    public void close() {}
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Reads all files, each thread into its own buffer of 1 MB. */
  private void read() {
    for (Path file : files) {
      AtomicLong next = new AtomicLong();
      try (FileChannel channel = FileChannel.open(file);
          ExecutorService helpers = Executors.newCachedThreadPool()) {
        List<CompletableFuture<Void>> reads = new ArrayList<>();
        for (int i = 1; i < backend.threads(); i++) {
          reads.add(CompletableFuture.runAsync(() -> read(channel, next), helpers));
        }
        read(channel, next);
        reads.forEach(CompletableFuture::join);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private static void read(FileChannel channel, AtomicLong next) {
    ByteBuffer piece = ByteBuffer.allocateDirect(PIECE_BYTES);
    try {
      while (channel.read(piece.clear(), next.getAndAdd(PIECE_BYTES)) >= 0) {
        // what was read is not looked at
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
