/**
 * Layers, models, checkpoints, communication and engine. Its packages change with every version, so
 * only the facade sees them; a program uses {@code panamoe.api} and {@code panamoe.text}.
 */
@SuppressWarnings({
  "module", // compiled before the modules that it names
  "requires-automatic" // JCuda is no named module
})
module panamoe.runtime {
  requires java.management;
  requires java.net.http; // for models by name
  requires jdk.jfr;
  requires jdk.management;
  requires static tools.jackson.databind; // for files and JSON
  requires static jcuda; // for run-time kernels
  requires panamoe.bindings;

  exports panamoe.backend to
      panamoe.api,
      panamoe.text;
  exports panamoe.checkpoint to
      panamoe.api;
  exports panamoe.comm to
      panamoe.api,
      panamoe.text;
  exports panamoe.comm.exchange to
      panamoe.api;
  exports panamoe.comm.mpi to
      panamoe.api;
  exports panamoe.comm.tcp to
      panamoe.api;
  exports panamoe.config to
      panamoe.api,
      panamoe.text;
  exports panamoe.conversation to
      panamoe.text;
  exports panamoe.conversation.reply to
      panamoe.text;
  exports panamoe.conversation.template to
      panamoe.text;
  exports panamoe.data to
      panamoe.api,
      panamoe.text;
  exports panamoe.engine to
      panamoe.text;
  exports panamoe.engine.sample to
      panamoe.text;
  exports panamoe.engine.schedule to
      panamoe.text;
  exports panamoe.grammar to
      panamoe.text;
  exports panamoe.io to
      panamoe.api,
      panamoe.djl, // for its version
      panamoe.text;
  exports panamoe.model to
      panamoe.api,
      panamoe.text;
  exports panamoe.model.family to
      panamoe.api;
  exports panamoe.moe to
      panamoe.api;
  exports panamoe.nn to
      panamoe.api;
  exports panamoe.op to
      panamoe.api;
  exports panamoe.open to
      panamoe.api,
      panamoe.text;
  exports panamoe.parallel to
      panamoe.api,
      panamoe.text;
  exports panamoe.param to
      panamoe.api,
      panamoe.text;
  exports panamoe.retrieval to
      panamoe.text;
  exports panamoe.tensor to
      panamoe.api,
      panamoe.text;
  exports panamoe.train to
      panamoe.api;

  // Jackson reads and writes what config.json and a model's heat.json have.
  opens panamoe.backend to
      tools.jackson.databind;
  opens panamoe.checkpoint to
      tools.jackson.databind;
  opens panamoe.config to
      tools.jackson.databind;
  opens panamoe.open to
      tools.jackson.databind;
}
