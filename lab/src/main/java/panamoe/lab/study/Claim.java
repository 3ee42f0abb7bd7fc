package panamoe.lab.study;

import panamoe.io.Words;

/** The paper's claims and the rules by which they hold. The rules are fixed before any run. */
enum Claim {
  S1(
      "Training cost",
      "An MoE model is as good as a dense model of four to five times its base's parameters, at a fifth of the"
          + " training cost.",
      "The best of the three MoE models closes at least 90 % of the gap between the dense model of its FLOPs and"
          + " the larger dense model. Partly: at least half of it."),
  S2(
      "Which layers need experts",
      "Experts in the second half of the layers are clearly better than in the first half.",
      Words.of(
          "The second half is better by more than %.3f bits per byte. Partly: it is better by less.",
          SeedSample.NOISE)),
  S3(
      "A fixed MLP in place of the second expert",
      "Residual-MoE is as good as top-2, with the communication of top-1. (Both compute a second MLP in each MoE"
          + " layer, which top-1 does not.)",
      Words.of(
          "Residual is not worse than top-2 by more than %.3f bits per byte, and its all-to-all moves half of the bytes."
              + " Partly: it is worse than top-2 but clearly better than top-1.",
          SeedSample.NOISE)),
  S4(
      "Pyramid-Residual",
      "PR-MoE is as good as a standard MoE of up to three times its parameters. (Its residual layers compute a"
          + " second MLP, as in the paper.)",
      "PR-MoE's bits per byte are at most 0.5 % above the standard MoE with many experts (the paper's gap"
          + " of 0.01 nats is 0.4 %). Partly: the gap is at most half of that between few and many experts."),
  S5(
      "Mixture-of-Students",
      "With staged distillation a student of fewer layers keeps 99.3 % of its teacher's quality, more than"
          + " without a teacher or with one to the end; it has up to 3.7 times fewer parameters than a standard MoE."
          + " (staged-init starts from layers that its teacher trained for as many steps again, and no student starts so"
          + " without distillation. A student above its teacher shows that the teacher was trained too briefly.)",
      "Quality is the teacher's bits per byte over the student's. The best staged student retains at least 99 %, is"
          + " clearly better than without a teacher, and not clearly worse than with one to the end. Partly: it is clearly"
          + " better than without a teacher."),
  S6(
      "Balancing the experts",
      "An auxiliary loss with the coefficient 0.01 balances the experts without harm to the model. (Here at the"
          + " capacity factor 1; capacity-1.0 is the run with 0.01.)",
      Words.of(
          "With 0.01 at most half as many tokens are dropped as with 0, and bits per byte are not worse by more than %.3f."
              + " Partly: one of the two.",
          SeedSample.NOISE)),
  S7(
      "Capacity",
      "A capacity factor of 1, with which the paper trains and evaluates, is enough.",
      "Its bits per byte are at most 0.5 % above the dropless model's. Partly: at most 2 %."),
  S8(
      "Inference",
      "PR-MoE with MoS answers 2.4 times (52 billion parameters) to 4.5 times (1.5 trillion) faster than a dense"
          + " model of its quality, and nine times cheaper. (Here one machine, so that cost is time. The paper's factors are"
          + " at equal quality; here S1 says how much better the larger dense model is.)",
      "At batch 1 a token takes PR-MoE's student at most 1/2.4 of the larger dense model's time. Partly: at most"
          + " 1/1.2.");

  private final String title;
  private final String words;
  private final String rule;

  Claim(String title, String words, String rule) {
    this.title = title;
    this.words = words;
    this.rule = rule;
  }

  String title() {
    return title;
  }

  String words() {
    return words;
  }

  String rule() {
    return rule;
  }
}
