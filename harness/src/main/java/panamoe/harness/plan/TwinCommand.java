package panamoe.harness.plan;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.Map;
import panamoe.comm.exchange.Strategy;
import panamoe.harness.ComputeType;
import panamoe.harness.OutputPlace;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.io.WholeOrNothing;
import panamoe.open.ModelFolder;
import panamoe.parallel.Topology;
import panamoe.plan.Cluster;
import panamoe.plan.ExchangeSimulation;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "twin",
    customSynopsis = "panamoe twin [OPTIONS] MODEL --cluster=CLUSTER",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Simulates a layer's exchange of rows on a cluster, event by event: every device is a thread with a virtual clock.",
      "It runs the code of a real exchange and prints its time next to the prediction of plan."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe twin 1.3B+MoE-128 --cluster dgx-a100:64",
      "  panamoe twin 1.3B+MoE-128 --cluster dgx-a100:64 --tokens 512 --trace trace.json",
      "  panamoe twin --routes RUN --cluster dgx-h100:32    routes of a trained gate",
      "",
      "docs/planning.md explains the simulation."
    })
public final class TwinCommand implements Subcommand {
  @Mixin private SharedOptions shared;
  @Mixin private DescribedModelOptions model;

  @Option(
      names = "--cluster",
      paramLabel = "CLUSTER",
      required = true,
      description =
          "NODE:GPUS, at most "
              + ExchangeSimulation.MOST
              + " devices, or a JSON file (docs/planning.md).")
  private String cluster;

  @Option(
      names = "--layer",
      paramLabel = "N",
      description =
          "Index of the MoE layer among all layers, from 0. Default: the first MoE layer.")
  private Integer layer;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "8",
      description = "Tokens per data rank. Default: ${DEFAULT-VALUE}.")
  private long tokens;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = "Dtype of rows, f32 or bf16. Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  @Option(
      names = "--ep",
      paramLabel = "N",
      description =
          "Largest number of devices that experts are spread over. Default: all data ranks.")
  private Integer expertDegree;

  @Option(
      names = "--tp",
      paramLabel = "N",
      defaultValue = "1",
      description = "Tensor-parallel degree of heads and MLPs. Default: ${DEFAULT-VALUE}.")
  private int tensorDegree;

  @Option(
      names = "--expert-slices",
      paramLabel = "N",
      defaultValue = "1",
      description = "Devices of --tp that share each expert. Default: ${DEFAULT-VALUE}.")
  private int expertSlices;

  @Option(
      names = "--routes",
      paramLabel = "RUN",
      description = {
        "A trained model that routes the tokens of a text. It is also the simulated model if MODEL is not given.",
        "Default: even routes, with the remainder spread at random by --seed."
      })
  private Path routes;

  @Option(
      names = "--text",
      paramLabel = "PATH",
      description =
          "Text for --routes, a UTF-8 file or a folder. Default: the run's validation text.")
  private Path text;

  @Option(
      names = "--trace",
      paramLabel = "OUT",
      description =
          "Write a timeline of each device for chrome://tracing to this file, which must not exist.")
  private Path trace;

  @Override
  public Integer call() throws IOException {
    if (!model.one() && (!model.none() || routes == null)) {
      throw shared.usage("give one of MODEL and --config, or --routes");
    }
    shared.require(text == null || routes != null, "--text needs --routes");
    if (trace != null) {
      OutputPlace.requireNewFile(trace, "--trace");
    }
    ModelFolder trained =
        routes == null ? null : ModelFolder.open(model.names.local(routes, shared.command()));
    SimulatedStep step = shared.checked(() -> step(trained));
    long[][] rows =
        trained == null
            ? ExchangeSimulation.even(
                step.topology().dataDegree(), step.layer().experts(), step.rows(), shared.seed())
            : new TrainedRoutes(trained, shared).of(step, text);
    Map<Strategy, ExchangeSimulation.Result> results = new EnumMap<>(Strategy.class);
    for (Strategy strategy : step.strategies()) {
      ExchangeSimulation twin =
          new ExchangeSimulation(step.cluster().node(), step.topology(), strategy);
      results.put(strategy, twin.run(rows, step.rowBytes()));
    }
    if (trace != null) {
      String events = TwinTrace.of(step.cluster(), results);
      WholeOrNothing.make(trace, hidden -> Files.writeString(hidden, events));
    }
    TwinReport report = new TwinReport(step, routes, results);
    shared.out().print(shared.json() ? report.json() + "\n" : report.text());
    return 0;
  }

  private SimulatedStep step(ModelFolder trained) {
    Cluster wanted = ClusterOption.read(cluster, shared.err());
    int data = Math.max(1, wanted.devices() / Math.max(1, tensorDegree));
    int degree = expertDegree == null ? data : expertDegree;
    Topology topology = new Topology(wanted.devices(), degree, tensorDegree, expertSlices);
    SimulatedStep step = new SimulatedStep(described(trained), wanted, topology, tokens, dtype);
    new ExchangeSimulation(wanted.node(), topology, Strategy.FLAT)
        .requireExchange(step.layer().experts());
    return step;
  }

  private SimulatedLayer described(ModelFolder trained) {
    return model.none()
        ? SimulatedLayer.of(routes.toString(), trained.config(), layer)
        : SimulatedLayer.of(model.name(), model.described(_ -> {}), layer);
  }
}
